-- Deletes the scenario lists with an item that no list may have any more; the rows that stay are in kept.
--
-- reads:   barred (registered: scenario, item_id), recs.scenario_recommendations
-- writes:  recs.scenario_recommendations
delete from recs.scenario_recommendations
where (scenario, user_id) in (
        select (found.scenario, found.user_id)
        from recs.scenario_recommendations as found
        where (found.scenario, found.item_id) in (select (barred.scenario, barred.item_id) from barred)
    )
