-- Deletes the lists in scenarios of people who opt out.
--
-- reads:   leaving (temporary: user_id)
-- writes:  recs.scenario_recommendations
delete from recs.scenario_recommendations
where user_id in (select leaving.user_id from leaving)
