-- The list that a user had at a time: the last row of the list history until then, with the current titles of the items.
--
-- grain:   one row per rank; one without an item if the user had no list of their own any more; none if no list is known
-- params:  $user_id (* for the list for anyone), $scenario, $moment (text of a timestamp, UTC), $k
-- reads:   recs.list_history, raw.items
-- returns: rank, item_id, title, score, probability, reason, source, model_version, mlflow_run_id, flow_run_id, data_snapshot,
--          generated_at, publication_id, published_at
with last as (
    select *
    from recs.list_history
    where user_id = $user_id
        and scenario = $scenario
        and published_at <= $moment::timestamp
    order by published_at desc
    limit 1
),

ranked as (
    select
        last.*,
        unnest(case when len(last.item_ids) = 0 then [0] else range(1, least($k, len(last.item_ids)) + 1) end)::integer as rank
    from last
)

select
    ranked.rank as rank,
    ranked.item_ids[ranked.rank] as item_id,
    items.title as title,
    ranked.scores[ranked.rank] as score,
    (ranked.probability * exp(ranked.scores[ranked.rank] - ranked.scores[1]))::float as probability,
    ranked.reasons[ranked.rank] as reason,
    ranked.sources[ranked.rank] as source,
    ranked.model_version as model_version,
    ranked.mlflow_run_id as mlflow_run_id,
    ranked.flow_run_id as flow_run_id,
    ranked.data_snapshot as data_snapshot,
    ranked.generated_at as generated_at,
    ranked.publication_id as publication_id,
    ranked.published_at as published_at
from ranked
left join raw.items as items
    on ranked.item_ids[ranked.rank] = items.item_id
order by ranked.rank
