-- The best items of one user's list in a scenario, with their current titles.
--
-- grain:   one row per rank
-- params:  $scenario, $user_id (* for the list for anyone), $k
-- reads:   recs.scenario_recommendations, raw.items
-- returns: rank, item_id, title, score, probability, reason, source, model_version, data_snapshot, generated_at
select
    lists.rank as rank,
    lists.item_id as item_id,
    items.title as title,
    lists.score as score,
    lists.probability as probability,
    lists.reason as reason,
    lists.source as source,
    lists.model_version as model_version,
    lists.data_snapshot as data_snapshot,
    lists.generated_at as generated_at
from recs.scenario_recommendations as lists
left join raw.items as items
    on lists.item_id = items.item_id
where lists.scenario = $scenario
    and lists.user_id = $user_id
    and lists.rank <= $k
order by lists.rank
