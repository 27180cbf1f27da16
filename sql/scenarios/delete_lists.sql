-- Deletes the scenario lists of the given users, before new ones are inserted, and all lists of scenarios that are no longer in tables.
--
-- reads:   at_hand (registered: user_id), in_tables (registered: scenario)
-- writes:  recs.scenario_recommendations
delete from recs.scenario_recommendations
where user_id in (select at_hand.user_id from at_hand)
    or scenario not in (select in_tables.scenario from in_tables)
