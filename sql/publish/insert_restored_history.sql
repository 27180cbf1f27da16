-- Records the restored lists that differ from the lists before, with the model that made them, and the lists that are gone.
--
-- grain:   one row per changed list
-- params:  $publication_id, $published_at (timestamp, UTC), $model_version, $mlflow_run_id, $flow_run_id,
--          $data_snapshot (of this publication)
-- reads:   restored_lists (temporary: as create_restored_lists makes it), lists_before (temporary: scenario, user_id, whole)
-- writes:  recs.list_history
insert into recs.list_history by name
with whole as (
    select
        restored.scenario,
        restored.user_id,
        fingerprint(restored.rank, restored.item_id) as whole,
        list(restored.item_id order by restored.rank) as item_ids,
        list(restored.score order by restored.rank) as scores,
        arg_min(restored.probability, restored.rank) as probability,
        list(restored.source order by restored.rank) as sources,
        list(restored.reason order by restored.rank) as reasons,
        any_value(restored.model_version) as model_version,
        any_value(restored.mlflow_run_id) as mlflow_run_id,
        any_value(restored.flow_run_id) as flow_run_id,
        any_value(restored.data_snapshot) as data_snapshot,
        any_value(restored.generated_at) as generated_at
    from restored_lists as restored
    group by restored.scenario, restored.user_id
),

gone as (
    select
        before.scenario,
        before.user_id
    from lists_before as before
    anti join restored_lists as restored
        on before.scenario = restored.scenario
            and before.user_id = restored.user_id
    where before.scenario in (select of_scenario.scenario from restored_lists as of_scenario)
)

select
    whole.user_id as user_id,
    whole.scenario as scenario,
    $published_at as published_at,
    whole.item_ids as item_ids,
    whole.scores as scores,
    whole.probability as probability,
    whole.sources as sources,
    whole.reasons as reasons,
    $publication_id as publication_id,
    whole.model_version as model_version,
    whole.mlflow_run_id as mlflow_run_id,
    whole.flow_run_id as flow_run_id,
    whole.data_snapshot as data_snapshot,
    whole.generated_at as generated_at
from whole
left join lists_before as before
    on whole.scenario = before.scenario
        and whole.user_id = before.user_id
where whole.whole is distinct from before.whole
union all
select
    gone.user_id as user_id,
    gone.scenario as scenario,
    $published_at as published_at,
    []::varchar[] as item_ids,
    []::float[] as scores,
    null::float as probability,
    []::varchar[] as sources,
    []::varchar[] as reasons,
    $publication_id as publication_id,
    $model_version as model_version,
    $mlflow_run_id as mlflow_run_id,
    $flow_run_id as flow_run_id,
    $data_snapshot as data_snapshot,
    $published_at as generated_at
from gone
order by user_id, scenario
