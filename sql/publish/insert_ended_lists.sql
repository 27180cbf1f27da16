-- Records the lists that are gone: those of users or scenarios that had one before and get none now.
--
-- grain:   one row per scenario and user
-- params:  $publication_id, $published_at (timestamp, UTC), $model_version, $mlflow_run_id, $flow_run_id, $data_snapshot,
--          $generated_at (timestamp, UTC)
-- reads:   lists_before (temporary: scenario, user_id), listed (registered: user_id), in_tables (registered: scenario)
-- writes:  recs.list_history
insert into recs.list_history by name
select
    lists_before.user_id as user_id,
    lists_before.scenario as scenario,
    $published_at as published_at,
    []::varchar[] as item_ids,
    []::float[] as scores,
    null::float as probability,
    []::varchar[] as sources,
    []::varchar[] as reasons,
    []::varchar[] as slots,
    []::float[] as propensities,
    $publication_id as publication_id,
    $model_version as model_version,
    $mlflow_run_id as mlflow_run_id,
    $flow_run_id as flow_run_id,
    $data_snapshot as data_snapshot,
    $generated_at as generated_at
from lists_before
where lists_before.user_id not in (select listed.user_id from listed)
    or (lists_before.scenario <> 'default' and lists_before.scenario not in (select in_tables.scenario from in_tables))
order by lists_before.user_id, lists_before.scenario
