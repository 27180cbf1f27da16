-- Hours since the last night published its lists, with a band from the 28 days before.
--
-- The band ends at one and a quarter times the time between nights that nine of ten stay below, plus two hours.
--
-- grain:   one row, or none before the first night
-- params:  $now (timestamp, UTC)
-- reads:   recs.publications
-- returns: check_name, value, usual, low (null), high, n_days (days between the first and the last of these nights)
with nights as (
    select
        published_at,
        epoch(published_at - lag(published_at) over (order by published_at)) / 3600 as wait_h
    from recs.publications
    where cadence = 'nightly'
        and published_at > $now::timestamp - interval 29 day
        and published_at <= $now::timestamp
),

newest as (
    select max(published_at) as published_at
    from recs.publications
    where cadence = 'nightly'
        and published_at <= $now::timestamp
)

select
    'nights' as check_name,
    epoch($now::timestamp - any_value(newest.published_at)) / 3600 as value,
    median(nights.wait_h) as usual,
    null::double as low,
    2 + 1.25 * quantile_cont(nights.wait_h, 0.9) as high,
    coalesce(epoch(max(nights.published_at) - min(nights.published_at)) / 86400, 0)::integer as n_days
from newest
left join nights
    on true
where newest.published_at is not null
having count(*) > 0
