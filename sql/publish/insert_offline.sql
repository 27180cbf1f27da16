-- Records the evaluation of a night: its model, the champion and the baselines.
--
-- grain:   one row per model, segment and metric
-- params:  $flow_run_id, $mlflow_run_id, $data_snapshot, $evaluated_at (timestamp, UTC)
-- reads:   metrics (registered: model_version, model, segment, metric, value, low, high, n_events)
-- writes:  eval.offline
insert into eval.offline by name
select
    $flow_run_id as flow_run_id,
    $mlflow_run_id as mlflow_run_id,
    metrics.model_version as model_version,
    $data_snapshot as data_snapshot,
    metrics.model as model,
    metrics.segment as segment,
    metrics.metric as metric,
    metrics.value as value,
    metrics.low as low,
    metrics.high as high,
    metrics.n_events as n_events,
    $evaluated_at as evaluated_at
from metrics
