-- Hours since the newest event arrived, with a band from the longest wait of each of the 28 days before.
--
-- The band ends at one and a half times the wait that nine of ten days stay below, plus one hour.
--
-- grain:   one row, or none without events
-- params:  $now (timestamp, UTC)
-- reads:   raw.events
-- returns: check_name, value, usual, low (null), high, n_days (days with arrivals)
with arrivals as (
    select distinct date_trunc('minute', received_at) as arrived
    from raw.events
    where received_at > $now::timestamp - interval 29 day
        and received_at <= $now::timestamp
),

waits as (
    select
        arrived,
        epoch(arrived - lag(arrived) over (order by arrived)) / 3600 as wait_h
    from arrivals
),

days as (
    select
        date_trunc('day', arrived) as day,
        max(wait_h) as wait_h
    from waits
    where wait_h is not null
    group by date_trunc('day', arrived)
)

select
    'arrivals' as check_name,
    epoch($now::timestamp - (select max(received_at) from raw.events where received_at <= $now::timestamp)) / 3600 as value,
    median(wait_h) as usual,
    null::double as low,
    1 + 1.5 * quantile_cont(wait_h, 0.9) as high,
    count(*) as n_days
from days
where exists (select 1 from raw.events)
having (select count(*) from raw.events) > 0
