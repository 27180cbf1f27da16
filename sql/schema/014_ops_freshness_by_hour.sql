-- How long users waited for a new list, by the hour in which it was made.
--
-- grain:   one row per hour with new lists
-- reads:   ops.freshness
-- returns: hour, n_users, p50_s, p95_s, max_s
create view ops.freshness_by_hour as
with waits as (
    select
        date_trunc('hour', generated_at) as hour,
        epoch(generated_at - received_at) as wait_s
    from ops.freshness
)

select
    hour,
    count(*) as n_users,
    quantile_cont(wait_s, 0.5) as p50_s,
    quantile_cont(wait_s, 0.95) as p95_s,
    max(wait_s) as max_s
from waits
group by hour;
comment on view ops.freshness_by_hour is
'Seconds from the newest event of a user to the list that knows it: p50, p95 and the longest, by the hour (UTC) of the lists';
