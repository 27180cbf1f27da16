-- Records what the checks found.
--
-- grain:   one row per check
-- params:  $checked_at (timestamp, UTC), $flow_run_id
-- reads:   checks (registered: check_name, state, value, usual, low, high, n_days, found, is_open, is_announced)
-- writes:  ops.health
insert into ops.health by name
select
    $checked_at as checked_at,
    check_name,
    state,
    value,
    usual,
    low,
    high,
    n_days,
    found,
    is_open,
    is_announced,
    $flow_run_id as flow_run_id
from checks
