-- Deletes the lists of scenarios of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  recs.scenario_recommendations
delete from recs.scenario_recommendations
where user_id in (select erasing.user_id from erasing)
