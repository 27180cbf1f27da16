-- Stores fingerprints of the scenario lists that delete_lists deletes next.
--
-- grain:   one row per scenario and user
-- reads:   at_hand (registered: user_id), in_tables (registered: scenario), recs.scenario_recommendations
-- writes:  the temporary table lists_before: scenario, user_id, fingerprint (null), whole
insert into lists_before
select
    lists.scenario as scenario,
    lists.user_id as user_id,
    null as fingerprint,
    fingerprint(lists.rank, concat(lists.item_id, nullif(lists.slot, 'ranked'))) as whole
from recs.scenario_recommendations as lists
where lists.user_id in (select at_hand.user_id from at_hand)
    or lists.scenario not in (select in_tables.scenario from in_tables)
group by lists.scenario, lists.user_id
