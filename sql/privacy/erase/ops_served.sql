-- Deletes the lists that the API answered with of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  ops.served
delete from ops.served
where user_id in (select erasing.user_id from erasing)
