-- A metric of a model version and of all other models that its newest night measured.
--
-- grain:   one row per model
-- params:  $model_version, $metric
-- reads:   eval.offline
-- returns: model, model_version, value, low, high, n_events, is_baseline
select
    model,
    model_version,
    value,
    low,
    high,
    n_events,
    model not in ('minutehand', 'champion') as is_baseline
from eval.offline
where segment = 'all'
    and metric = $metric
    and value is not null
    and flow_run_id = (
        select night.flow_run_id
        from eval.offline as night
        where night.model_version = $model_version
        order by night.evaluated_at desc, night.flow_run_id desc
        limit 1
    )
order by value desc, model
