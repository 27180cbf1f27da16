-- The alarms of the hourly checks since a time.
--
-- grain:   one row per check
-- params:  $since (timestamp, UTC)
-- reads:   ops.health
-- returns: check_name, first_at, last_at, n_hours, found (of the first)
select
    check_name,
    min(checked_at) as first_at,
    max(checked_at) as last_at,
    count(*) as n_hours,
    arg_min(found, checked_at) as found
from ops.health
where state = 'alarm'
    and checked_at >= $since::timestamp
group by check_name
order by first_at, check_name
