-- The list of one user, with what is needed to compute its scores again.
--
-- grain:   one row per rank
-- params:  $user_id
-- reads:   recs.recommendations, recs.publications
-- returns: rank, item_id, score, probability, source, reason, model_version, generated_at,
--          asked_s (time for which the list was made, in unix seconds; null if unknown)
with made as (
    select
        flow_run_id,
        model_version,
        max(asked_at) as asked_at
    from recs.publications
    group by flow_run_id, model_version
)

select
    lists.rank as rank,
    lists.item_id as item_id,
    lists.score as score,
    lists.probability as probability,
    lists.source as source,
    lists.reason as reason,
    lists.model_version as model_version,
    lists.generated_at as generated_at,
    epoch(made.asked_at)::bigint as asked_s
from recs.recommendations as lists
left join made
    on lists.flow_run_id = made.flow_run_id
        and lists.model_version = made.model_version
where lists.user_id = $user_id
order by lists.rank
