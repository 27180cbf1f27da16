-- Deletes the lists of the scenarios whose lists are restored; other scenarios in tables keep what they have.
--
-- reads:   past_lists (temporary: scenario)
-- writes:  recs.scenario_recommendations
delete from recs.scenario_recommendations
where scenario in (select restored.scenario from past_lists as restored)
