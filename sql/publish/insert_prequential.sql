-- Records how well each model predicted the new events before they were learnt.
--
-- grain:   one row per model, segment and metric
-- params:  $flow_run_id, $mlflow_run_id, $data_snapshot, $evaluated_at (timestamp, UTC)
-- reads:   metrics (registered: model_version, model, segment, metric, value, n_events)
-- writes:  eval.prequential
insert into eval.prequential by name
select
    $flow_run_id as flow_run_id,
    $mlflow_run_id as mlflow_run_id,
    metrics.model_version as model_version,
    $data_snapshot as data_snapshot,
    metrics.model as model,
    metrics.segment as segment,
    metrics.metric as metric,
    metrics.value as value,
    metrics.n_events as n_events,
    date_trunc('minute', $evaluated_at) as minute,
    $evaluated_at as evaluated_at
from metrics
