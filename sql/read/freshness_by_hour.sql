-- Delay between users' new events and the lists that reflect them, newest hour first.
--
-- grain:   one row per hour with new lists
-- params:  $since (timestamp, UTC)
-- reads:   ops.freshness_by_hour
-- returns: hour (text, UTC), users, arrived_p50_s, arrived_p95_s, arrived_max_s, live_users, happened_p50_s, happened_p95_s,
--          happened_max_s
select
    strftime(waits.hour, '%Y-%m-%d %H:00') as hour,
    waits.n_users as users,
    round(waits.arrived_p50_s, 1) as arrived_p50_s,
    round(waits.arrived_p95_s, 1) as arrived_p95_s,
    round(waits.arrived_max_s, 1) as arrived_max_s,
    waits.n_live_users as live_users,
    round(waits.happened_p50_s, 1) as happened_p50_s,
    round(waits.happened_p95_s, 1) as happened_p95_s,
    round(waits.happened_max_s, 1) as happened_max_s
from ops.freshness_by_hour as waits
where waits.hour >= $since::timestamp
order by waits.hour desc
