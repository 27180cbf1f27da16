-- Deletes the lists of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  recs.recommendations
delete from recs.recommendations
where user_id in (select erasing.user_id from erasing)
