-- Deletes the last searches of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  features.user_searches
delete from features.user_searches
where user_id in (select erasing.user_id from erasing)
