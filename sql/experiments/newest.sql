-- The newest experiments, newest first: all, or only the one that is starting, running or stopping.
--
-- grain:   one row per experiment
-- params:  $n (rows), $is_current (only that one)
-- reads:   ops.experiments
-- returns: the columns of ops.experiments in the order of tasks.experiments.Experiment
select
    experiments.experiment_id,
    experiments.name,
    experiments.state,
    experiments.metric,
    experiments.share,
    experiments.guard_rails,
    experiments.control_version,
    experiments.control_settings,
    experiments.challenger_version,
    experiments.challenger_settings,
    experiments.arm_version,
    experiments.arm_run_id,
    experiments.learnt,
    experiments.checkpoint,
    experiments.checkpoint_sha256,
    experiments.next_version,
    experiments.next_run_id,
    experiments.next_learnt,
    experiments.frozen,
    experiments.verdict,
    experiments.started_at,
    experiments.stopped_at
from ops.experiments as experiments
where not $is_current or experiments.state <> 'stopped'
order by experiments.started_at desc, experiments.experiment_id
limit $n
