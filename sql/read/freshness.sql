-- Delay between users' new events and the lists that reflect them: since the arrival of the events, and since live events happened.
--
-- grain:   one row; without publications, the counts are 0 and the delays null
-- params:  $since (timestamp, UTC)
-- reads:   ops.freshness
-- returns: n_users, arrived_p50_s, arrived_p95_s, arrived_max_s, n_live_users, happened_p50_s, happened_p95_s, happened_max_s
with waits as (
    select
        epoch(generated_at - received_at) as since_arrival_s,
        epoch(generated_at - occurred_at) as since_event_s
    from ops.freshness
    where generated_at >= $since::timestamp
)

select
    count(*) as n_users,
    quantile_cont(since_arrival_s, 0.5) as arrived_p50_s,
    quantile_cont(since_arrival_s, 0.95) as arrived_p95_s,
    max(since_arrival_s) as arrived_max_s,
    count(since_event_s) as n_live_users,
    quantile_cont(since_event_s, 0.5) as happened_p50_s,
    quantile_cont(since_event_s, 0.95) as happened_p95_s,
    max(since_event_s) as happened_max_s
from waits
