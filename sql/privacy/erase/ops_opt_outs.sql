-- Deletes the opt-outs of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  ops.opt_outs
delete from ops.opt_outs
where user_id in (select erasing.user_id from erasing)
