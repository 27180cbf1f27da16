-- Records how far some erasures have come.
--
-- params:  $erasure_ids (varchar[]), $state, $steps (JSON object, merged into the steps before), $snapshot (bigint, null: as before)
-- writes:  ops.erasures
update ops.erasures
set
    state = $state,
    steps = json_merge_patch(steps::json, $steps::json)::varchar,
    snapshot = coalesce($snapshot::bigint, snapshot)
where list_contains($erasure_ids, erasure_id)
