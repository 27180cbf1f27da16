-- The experiment that is starting, running or stopping.
--
-- grain:   one row, none without an experiment
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
where experiments.state <> 'stopped'
