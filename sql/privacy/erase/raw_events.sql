-- Deletes the events of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  raw.events
delete from raw.events
where user_id in (select erasing.user_id from erasing)
