-- Deletes the histories of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  features.user_histories
delete from features.user_histories
where user_id in (select erasing.user_id from erasing)
