-- Notes that people have opted in again.
--
-- params:  $now (timestamp, UTC)
-- reads:   leaving (temporary: user_id)
-- writes:  ops.opt_outs
update ops.opt_outs
set opted_in_at = $now
where user_id in (select leaving.user_id from leaving)
    and opted_in_at is null
