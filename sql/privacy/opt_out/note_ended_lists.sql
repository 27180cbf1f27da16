-- Records that people who opt out have no lists of their own any more.
--
-- grain:   one row per scenario and user
-- params:  $now (timestamp, UTC)
-- reads:   leaving (temporary: user_id), recs.recommendations, recs.scenario_recommendations
-- writes:  recs.list_history
insert into recs.list_history by name
with lists as (
    select
        'default' as scenario,
        *
    from recs.recommendations
    union all by name
    select *
    from recs.scenario_recommendations
)

select
    lists.user_id,
    lists.scenario,
    $now as published_at,
    []::varchar[] as item_ids,
    []::float[] as scores,
    null::float as probability,
    []::varchar[] as sources,
    []::varchar[] as reasons,
    []::varchar[] as slots,
    []::float[] as propensities,
    any_value(lists.model_version) as model_version,
    any_value(lists.mlflow_run_id) as mlflow_run_id,
    any_value(lists.flow_run_id) as flow_run_id,
    any_value(lists.data_snapshot) as data_snapshot,
    any_value(lists.generated_at) as generated_at
from lists
where lists.user_id in (select leaving.user_id from leaving)
group by lists.user_id, lists.scenario
order by lists.user_id, lists.scenario
