-- Deletes the waiting times of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  ops.freshness
delete from ops.freshness
where user_id in (select erasing.user_id from erasing)
