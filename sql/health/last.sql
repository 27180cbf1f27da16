-- What the last check found, by name.
--
-- grain:   one row per check
-- reads:   ops.health
-- returns: check_name, state, is_open, checked_at
select
    check_name,
    arg_max(state, checked_at) as state,
    arg_max(is_open, checked_at) as is_open,
    max(checked_at) as checked_at
from ops.health
group by check_name
order by check_name
