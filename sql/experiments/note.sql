-- Records what a publication made of an experiment: the version behind the challenger's lists, and its new state.
-- If the experiment was asked to end since the publication began, it still is.
--
-- params:  $experiment_id, $was (state at the beginning of the publication), $state, $arm_version, $arm_run_id, $learnt (snapshot),
--          $checkpoint, $checkpoint_sha256, $taken (next_version at the beginning of the publication, null for none),
--          $frozen (null if it learnt), $published_at (timestamp, UTC)
-- writes:  ops.experiments
update ops.experiments
set
    state = case when state = $was then $state else state end,
    arm_version = $arm_version,
    arm_run_id = $arm_run_id,
    learnt = $learnt,
    checkpoint = $checkpoint,
    checkpoint_sha256 = $checkpoint_sha256,
    next_version = case when next_version is distinct from $taken then next_version end,
    next_run_id = case when next_version is distinct from $taken then next_run_id end,
    next_learnt = case when next_version is distinct from $taken then next_learnt end,
    frozen = $frozen,
    stopped_at = case when state = $was and $state = 'stopped' then $published_at end
where experiment_id = $experiment_id
