-- Drift of interests: how far the categories of the last hour are from those of the 28 days before, as population stability index (PSI).
--
-- A category is the first of its item; all but the twelve most frequent count as one. Each person counts once an hour and category, and
-- an hour from ten such counts on. For n counts, n x PSI has the same spread whatever n is (about chi-squared), so hours of any size give
-- the band: sqrt($width) times what 99 % of them had, and never below a PSI of 0.25, which is the customary threshold of a large shift.
--
-- grain:   one row, or none without categories
-- params:  $now (timestamp, UTC), $width
-- reads:   raw.events, raw.items
-- returns: check_name, value (null with fewer than ten counts), usual, low (null), high, n_days (days of history), grown (the category
--          that gained most)
with seen as (
    select distinct
        floor(epoch($now::timestamp - happened_at(events.occurred_at, events.received_at)) / 3600)::integer as hours_ago,
        events.user_id,
        items.categories[1] as category
    from raw.events as events
    inner join raw.items as items
        on events.item_id = items.item_id
    where happened_at(events.occurred_at, events.received_at) > $now::timestamp - interval 29 day
        and happened_at(events.occurred_at, events.received_at) <= $now::timestamp
        and events.received_at <= $now::timestamp
        and events.event_type not in ('impression', 'return')
        and len(items.categories) > 0
),

frequent as (
    select
        category,
        row_number() over (order by count(*) desc, category) as place
    from seen
    where hours_ago >= 24
    group by category
),

counted as (
    select
        seen.hours_ago,
        least(coalesce(frequent.place, 13), 13) as place,
        count(*) as n
    from seen
    left join frequent
        on seen.category = frequent.category
    group by seen.hours_ago, least(coalesce(frequent.place, 13), 13)
),

places as (
    select unnest(range(1, 14)) as place
),

reference as (
    select
        places.place,
        (coalesce(sum(counted.n), 0) + 0.5) / sum(coalesce(sum(counted.n), 0) + 0.5) over () as share
    from places
    left join counted
        on places.place = counted.place
            and counted.hours_ago >= 24
    group by places.place
),

totals as (
    select
        hours_ago,
        sum(n) as n
    from counted
    group by hours_ago
    having sum(n) >= 10
),

moved as (
    select
        totals.hours_ago,
        totals.n,
        reference.place,
        reference.share as before,
        (coalesce(counted.n, 0) + 0.5) / (totals.n + 6.5) as share
    from totals
    cross join reference
    left join counted
        on totals.hours_ago = counted.hours_ago
            and reference.place = counted.place
),

drift as (
    select
        hours_ago,
        any_value(n) as n,
        sum((share - before) * ln(share / before)) as psi
    from moved
    group by hours_ago
),

span as (
    select greatest(coalesce(max(hours_ago), -1) + 1, 24)::integer // 24 - 1 as n_days
    from seen
)

select
    'interests' as check_name,
    now_.psi as value,
    median(past.n * past.psi) / any_value(now_.n) as usual,
    null::double as low,
    greatest(0.25, sqrt($width) * quantile_cont(past.n * past.psi, 0.99) / any_value(now_.n)) as high,
    any_value(span.n_days) as n_days,
    (
        select coalesce(frequent.category, 'other')
        from moved
        left join frequent
            on moved.place = frequent.place
                and moved.place < 13
        where moved.hours_ago = 0
        order by moved.share - moved.before desc, moved.place
        limit 1
    ) as grown
from span
left join drift as now_
    on now_.hours_ago = 0
left join drift as past
    on past.hours_ago >= 24
where exists (select 1 from seen)
group by now_.psi
