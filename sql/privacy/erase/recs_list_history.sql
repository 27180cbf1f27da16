-- Deletes the past lists of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  recs.list_history
delete from recs.list_history
where user_id in (select erasing.user_id from erasing)
