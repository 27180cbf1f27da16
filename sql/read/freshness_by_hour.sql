-- How long the users with new events waited for the lists that know them, the newest hour first.
--
-- grain:   one row per hour with new lists
-- params:  $since (timestamp, UTC)
-- reads:   ops.freshness_by_hour
-- returns: hour (text, UTC), users, p50_s, p95_s, max_s
select
    strftime(waits.hour, '%Y-%m-%d %H:00') as hour,
    waits.n_users as users,
    round(waits.p50_s, 1) as p50_s,
    round(waits.p95_s, 1) as p95_s,
    round(waits.max_s, 1) as max_s
from ops.freshness_by_hour as waits
where waits.hour >= $since::timestamp
order by waits.hour desc
