-- Stores fingerprints of every user's lists, before the lists are replaced: of the top ranks, and of the whole list with
-- its slots.
--
-- grain:   one row per scenario and user
-- params:  $depth (top ranks)
-- reads:   recs.recommendations, recs.scenario_recommendations
-- returns: the temporary table lists_before: scenario, user_id, fingerprint (null in scenarios other than default), whole
create or replace temp table lists_before as
select
    'default' as scenario,
    user_id,
    fingerprint(rank, item_id, depth := $depth) as fingerprint,
    fingerprint(rank, concat(item_id, nullif(slot, 'ranked'))) as whole
from recs.recommendations
group by user_id
union all
select
    scenario,
    user_id,
    null as fingerprint,
    fingerprint(rank, concat(item_id, nullif(slot, 'ranked'))) as whole
from recs.scenario_recommendations
group by scenario, user_id
