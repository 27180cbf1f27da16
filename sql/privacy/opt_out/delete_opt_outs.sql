-- Deletes the earlier opt-outs of people who opt out.
--
-- reads:   leaving (temporary: user_id)
-- writes:  ops.opt_outs
delete from ops.opt_outs
where user_id in (select leaving.user_id from leaving)
