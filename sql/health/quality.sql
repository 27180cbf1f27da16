-- How well the live model predicted the events of the last hour before it learnt them, with a band from the 28 days before.
--
-- An hour counts from twenty events on. The mean over n events varies with 1 / sqrt(n), so hours of any size give the band: it begins
-- $width times as far below what is usual as 99 % of the hours did, on that scale.
--
-- grain:   one row, or none before the first minute with events
-- params:  $now (timestamp, UTC), $width
-- reads:   eval.prequential
-- returns: check_name, value (NDCG@10; null with fewer than twenty events), usual, low, high (null), n_days (days of history)
with minutes as (
    select
        floor(epoch($now::timestamp - evaluated_at) / 3600)::integer as hours_ago,
        value,
        n_events
    from eval.prequential
    where model = 'live'
        and segment = 'all'
        and metric = 'ndcg_at_10'
        and value is not null
        and evaluated_at > $now::timestamp - interval 29 day
        and evaluated_at <= $now::timestamp
),

hours as (
    select
        hours_ago,
        sum(value * n_events) / sum(n_events) as value,
        sum(n_events) as n_events
    from minutes
    group by hours_ago
    having sum(n_events) >= 20
),

past as (
    select
        value,
        (value - median(value) over ()) * sqrt(n_events) as residual
    from hours
    where hours_ago >= 24
),

span as (
    select greatest(coalesce(max(hours_ago), -1) + 1, 24)::integer // 24 - 1 as n_days
    from minutes
)

select
    'quality' as check_name,
    now_.value,
    median(past.value) as usual,
    median(past.value) + $width * quantile_cont(past.residual, 0.01) / sqrt(any_value(now_.n_events)) as low,
    null::double as high,
    any_value(span.n_days) as n_days
from span
left join hours as now_
    on now_.hours_ago = 0
left join past
    on true
where exists (select 1 from minutes)
group by now_.value
