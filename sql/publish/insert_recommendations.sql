-- Inserts the new lists in input order, by user and rank, so that a query for one user skips most row groups.
-- People who have opted out get none.
--
-- grain:   one row per user and rank
-- params:  $model_version, $mlflow_run_id, $flow_run_id, $data_snapshot, $generated_at (timestamp, UTC)
-- reads:   lists (registered: user_id, rank, item_id, score, probability, source, reason, slot, propensity),
--          ops.opt_outs
-- writes:  recs.recommendations
insert into recs.recommendations by name
select
    lists.user_id as user_id,
    lists.rank as rank,
    lists.item_id as item_id,
    lists.score as score,
    lists.probability as probability,
    lists.source as source,
    lists.reason as reason,
    lists.slot as slot,
    lists.propensity as propensity,
    $model_version as model_version,
    $mlflow_run_id as mlflow_run_id,
    $flow_run_id as flow_run_id,
    $data_snapshot as data_snapshot,
    $generated_at as generated_at
from lists
where lists.user_id not in (select outs.user_id from ops.opt_outs as outs where outs.opted_in_at is null)
