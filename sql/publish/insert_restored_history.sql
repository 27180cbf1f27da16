-- Records the restored lists that differ from the lists before, with the model that made them, and the lists that are gone.
--
-- grain:   one row per changed list
-- params:  $publication_id, $published_at (timestamp, UTC), $model_version, $mlflow_run_id, $flow_run_id,
--          $data_snapshot (of this publication)
-- reads:   restored_lists (temporary: as create_restored_lists makes it), lists_before (temporary: scenario, user_id, whole)
-- writes:  recs.list_history
insert into recs.list_history by name
select
    restored.*,
    $publication_id as publication_id,
    $published_at as published_at
from restored_lists as restored
left join lists_before as before
    on restored.scenario = before.scenario
        and restored.user_id = before.user_id
where coalesce(before.whole, 0) <> coalesce( -- as the macro fingerprint, of the list as an array
        list_aggregate(
            list_transform(
                restored.item_ids, lambda item_id, rank: hash(concat(rank, ' ', item_id, nullif(restored.slots[rank], 'ranked')))
            ),
            'bit_xor'
        ), 0
    )
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
from lists_before as gone
where gone.scenario in (select of_scenario.scenario from restored_lists as of_scenario)
    and (gone.scenario, gone.user_id) not in (select (of_user.scenario, of_user.user_id) from restored_lists as of_user)
