-- Deletes the interests of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  recs.user_interests
delete from recs.user_interests
where user_id in (select erasing.user_id from erasing)
