-- Records the new lists of one scenario whose items, order or slots differ from those of the list before; none of people who have opted out.
--
-- grain:   one row per changed list
-- params:  $scenario, $publication_id, $published_at (timestamp, UTC), $model_version, $mlflow_run_id, $flow_run_id, $data_snapshot,
--          $generated_at (timestamp, UTC)
-- reads:   whole_lists (registered: user_id, item_ids, scores, probability, sources, reasons, slots,
--          propensities),
--          lists_before (temporary: scenario, user_id, whole), ops.opt_outs
-- writes:  recs.list_history
insert into recs.list_history by name
select
    lists.user_id as user_id,
    $scenario as scenario,
    $published_at as published_at,
    lists.item_ids as item_ids,
    lists.scores as scores,
    lists.probability as probability,
    lists.sources as sources,
    lists.reasons as reasons,
    lists.slots as slots,
    lists.propensities as propensities,
    $publication_id as publication_id,
    $model_version as model_version,
    $mlflow_run_id as mlflow_run_id,
    $flow_run_id as flow_run_id,
    $data_snapshot as data_snapshot,
    $generated_at as generated_at
from whole_lists as lists
left join lists_before
    on lists.user_id = lists_before.user_id
        and lists_before.scenario = $scenario
where coalesce(lists_before.whole, 0) <> coalesce( -- as the macro fingerprint, of the list as an array
        list_aggregate(
            list_transform(
                lists.item_ids, lambda item_id, rank: hash(concat(rank, ' ', item_id, nullif(lists.slots[rank], 'ranked')))
            ),
            'bit_xor'
        ), 0
    )
    and lists.user_id not in (select outs.user_id from ops.opt_outs as outs where outs.opted_in_at is null)
