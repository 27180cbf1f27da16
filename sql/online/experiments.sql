-- The experiments that ran at some time since an hour.
--
-- grain:   one row per experiment
-- params:  $since (timestamp, UTC)
-- reads:   ops.experiments
-- returns: experiment_id, share, started_at, stopped_at (null while it runs)
select
    experiment_id,
    share,
    started_at,
    stopped_at
from ops.experiments
where coalesce(stopped_at >= $since, true)
order by started_at, experiment_id
