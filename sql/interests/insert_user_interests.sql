-- Inserts the interests of users in input order, by user, so that a query for one user skips most row groups.
-- People who have opted out get none.
--
-- grain:   one row per user, horizon and interest
-- params:  $model_version, $mlflow_run_id, $flow_run_id, $data_snapshot, $generated_at (timestamp, UTC)
-- reads:   held (registered: user_id, horizon, interest_id, kind, name, probability, evidence), ops.opt_outs
-- writes:  recs.user_interests
insert into recs.user_interests by name
select
    held.user_id as user_id,
    held.horizon as horizon,
    held.interest_id as interest_id,
    held.kind as kind,
    held.name as name,
    held.probability as probability,
    held.evidence as evidence,
    $model_version as model_version,
    $mlflow_run_id as mlflow_run_id,
    $flow_run_id as flow_run_id,
    $data_snapshot as data_snapshot,
    $generated_at as generated_at
from held
where held.user_id not in (select outs.user_id from ops.opt_outs as outs where outs.opted_in_at is null)
