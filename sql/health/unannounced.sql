-- Starts and ends of alarms that were not sent yet, oldest first.
--
-- grain:   one row per check and start or end of an alarm
-- reads:   ops.health
-- returns: checked_at, check_name, is_open (true: start), found, value, low, high
select
    checked_at,
    check_name,
    is_open,
    found,
    value,
    low,
    high
from ops.health
where not is_announced
order by checked_at, check_name
