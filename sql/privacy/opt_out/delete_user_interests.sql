-- Deletes the interests of people who opt out.
--
-- reads:   leaving (temporary: user_id)
-- writes:  recs.user_interests
delete from recs.user_interests
where user_id in (select leaving.user_id from leaving)
