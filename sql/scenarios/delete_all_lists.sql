-- Deletes the lists of all scenarios, before new ones are inserted.
--
-- writes:  recs.scenario_recommendations
delete from recs.scenario_recommendations
