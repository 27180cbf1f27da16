-- Records an experiment, before its first publication.
--
-- grain:   one row
-- params:  $experiment_id, $name, $state, $metric, $share, $guard_rails (JSON), $control_version, $control_settings (JSON),
--          $challenger_version, $challenger_settings (JSON), $arm_version, $arm_run_id, $learnt (snapshot), $checkpoint,
--          $checkpoint_sha256, $next_version, $next_run_id, $next_learnt (snapshot), $frozen, $verdict, $started_at,
--          $stopped_at (timestamp, UTC)
-- writes:  ops.experiments
insert into ops.experiments by name
select
    $experiment_id as experiment_id,
    $name as name,
    $state as state,
    $metric as metric,
    $share as share,
    $guard_rails as guard_rails,
    $control_version as control_version,
    $control_settings as control_settings,
    $challenger_version as challenger_version,
    $challenger_settings as challenger_settings,
    $arm_version as arm_version,
    $arm_run_id as arm_run_id,
    $learnt as learnt,
    $checkpoint as checkpoint,
    $checkpoint_sha256 as checkpoint_sha256,
    $next_version as next_version,
    $next_run_id as next_run_id,
    $next_learnt as next_learnt,
    $frozen as frozen,
    $verdict as verdict,
    $started_at as started_at,
    $stopped_at as stopped_at
