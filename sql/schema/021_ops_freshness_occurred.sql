-- Delay since the event and delay since its arrival: the two differ for files that arrive late.
--
-- grain:   one row per publish and user with new events in it; the view: one row per hour with new lists
-- reads:   ops.freshness
-- returns: hour, n_users, arrived_p50_s, arrived_p95_s, arrived_max_s, n_live_users, happened_p50_s, happened_p95_s, happened_max_s
alter table ops.freshness add column occurred_at timestamp;
comment on table ops.freshness is
'Delay from the newest event of a user, and from its arrival, to the list that includes it, per publication and user with new events';
comment on column ops.freshness.received_at is 'Time of ingest of the newest event of the user, UTC';
comment on column ops.freshness.occurred_at is
'Time of the newest live event of the user, UTC; live: ingested within an hour of the event; null if there is none';

create or replace view ops.freshness_by_hour as
with waits as (
    select
        date_trunc('hour', generated_at) as hour,
        epoch(generated_at - received_at) as since_arrival_s,
        epoch(generated_at - occurred_at) as since_event_s
    from ops.freshness
)

select
    hour,
    count(*) as n_users,
    quantile_cont(since_arrival_s, 0.5) as arrived_p50_s,
    quantile_cont(since_arrival_s, 0.95) as arrived_p95_s,
    max(since_arrival_s) as arrived_max_s,
    count(since_event_s) as n_live_users,
    quantile_cont(since_event_s, 0.5) as happened_p50_s,
    quantile_cont(since_event_s, 0.95) as happened_p95_s,
    max(since_event_s) as happened_max_s
from waits
group by hour;
comment on view ops.freshness_by_hour is
'By the hour (UTC) of the lists, seconds to a list that knows what its user did: arrived_* since it arrived; happened_* since it happened, '
'for the n_live_users whose events arrived within an hour of that';
