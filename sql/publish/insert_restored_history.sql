-- Records the restored lists that differ from the lists before, with the model that made them, and the lists that are gone.
--
-- grain:   one row per changed list
-- params:  $publication_id, $published_at (timestamp, UTC), $model_version, $mlflow_run_id, $flow_run_id,
--          $data_snapshot (of this publication)
-- reads:   restored_lists (temporary: as create_restored_lists makes it), past_lists (temporary: scenario, user_id),
--          newest_lists (temporary: scenario, user_id, whole)
-- writes:  recs.list_history
insert into recs.list_history by name
select restored.* replace ($publication_id as publication_id, $published_at as published_at)
from restored_lists as restored
left join newest_lists as newest
    on restored.scenario = newest.scenario
        and restored.user_id = newest.user_id
where newest.whole is distinct from hash(restored.item_ids, restored.slots)
    and (newest.whole is not null or len(restored.item_ids) > 0)
union all by name
select
    gone.user_id as user_id,
    gone.scenario as scenario,
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
    $published_at as generated_at
from newest_lists as gone
where gone.scenario in (select of_scenario.scenario from past_lists as of_scenario)
    and (gone.scenario, gone.user_id) not in (select (of_user.scenario, of_user.user_id) from past_lists as of_user)
