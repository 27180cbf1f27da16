-- Deletes the lists of people who opt out.
--
-- reads:   leaving (temporary: user_id)
-- writes:  recs.recommendations
delete from recs.recommendations
where user_id in (select leaving.user_id from leaving)
