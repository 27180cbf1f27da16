-- Metrics of the minute runs since a time, oldest first.
--
-- grain:   one row per minute run, model, segment and metric
-- params:  $since (timestamp, UTC)
-- reads:   eval.prequential
-- returns: evaluated_at, model, segment, metric, value, n_events
select
    p.evaluated_at,
    p.model,
    p.segment,
    p.metric,
    p.value,
    p.n_events
from eval.prequential as p
where p.evaluated_at >= $since
order by p.evaluated_at, p.flow_run_id, p.model, p.segment, p.metric
