-- Names the version that the next publication takes for the challenger of an experiment.
--
-- params:  $experiment_id, $version, $run_id, $learnt (snapshot)
-- writes:  ops.experiments
update ops.experiments
set
    next_version = $version,
    next_run_id = $run_id,
    next_learnt = $learnt
where experiment_id = $experiment_id
    and state in ('starting', 'running')
