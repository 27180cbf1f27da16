-- Events and people of the last hour, with bands from the same hour of the 28 days before; a weekday with fewer events has a lower band.
--
-- What is usual for an hour is the median of that hour of the day, times the usual share of its weekday. The band is $width times as wide
-- as 98 % of the hours were away from what was usual for them, on the scale of square roots, where counts vary alike at all sizes, and at
-- least as wide as for visits that do not depend on each other (Poisson: 98 % within 1.16).
--
-- grain:   one row per check
-- params:  $now (timestamp, UTC), $width
-- reads:   raw.events
-- returns: check_name (events, people), value, usual, low, high, n_days (days of history), is_live (whether most hours with arrivals
--          brought events of that hour)
with happened as (
    select
        floor(epoch($now::timestamp - happened_at(occurred_at, received_at)) / 3600)::integer as hours_ago,
        user_id,
        date_trunc('hour', received_at) as arrived,
        received_at - occurred_at < interval 1 hour as is_live
    from raw.events
    where happened_at(occurred_at, received_at) > $now::timestamp - interval 29 day
        and happened_at(occurred_at, received_at) <= $now::timestamp
        and received_at <= $now::timestamp
),

arrivals as (
    select avg(is_live::integer) > 0.5 as is_live
    from happened
    group by arrived
),

feed as (
    select coalesce(avg(is_live::integer) > 0.5, false) as is_live
    from arrivals
),

span as (
    select greatest(coalesce(max(hours_ago), -1) + 1, 24)::integer // 24 - 1 as n_days
    from happened
),

counted as (
    select
        hours_ago,
        count(*) as events,
        count(distinct user_id) as people
    from happened
    group by hours_ago
),

past as (
    select unnest(range(0, 24 * (n_days + 1))) as hours_ago
    from span
),

grid as (
    select
        check_name,
        hours_ago,
        hours_ago // 24 as days_ago
    from (values ('events'), ('people')) as names (check_name)
    cross join past
    where hours_ago = 0
        or hours_ago >= 24
),

measured as (
    select
        grid.*,
        coalesce(case when grid.check_name = 'events' then counted.events else counted.people end, 0) as value
    from grid
    left join counted
        on grid.hours_ago = counted.hours_ago
),

days as (
    select
        check_name,
        days_ago,
        sum(value) as total,
        median(sum(value)) over (partition by check_name) as usual
    from measured
    where hours_ago > 0
    group by check_name, days_ago
),

weekdays as (
    select
        check_name,
        days_ago % 7 as weekday,
        case when count(*) < 2 then 1 else median(total) / nullif(any_value(usual), 0) end as share
    from days
    group by check_name, days_ago % 7
),

shared as (
    select
        measured.*,
        coalesce(weekdays.share, 1) as share
    from measured
    left join weekdays
        on measured.check_name = weekdays.check_name
            and measured.days_ago % 7 = weekdays.weekday
),

profile as (
    select
        check_name,
        hours_ago % 24 as hour,
        median(value / share) as usual
    from shared
    where hours_ago > 0
        and share > 0
    group by check_name, hours_ago % 24
),

expected as (
    select
        shared.check_name,
        shared.hours_ago,
        shared.value,
        shared.share * profile.usual as usual,
        sqrt(shared.value) - sqrt(shared.share * profile.usual) as residual
    from shared
    inner join profile
        on shared.check_name = profile.check_name
            and shared.hours_ago % 24 = profile.hour
),

judged as (
    select
        check_name,
        value,
        usual
    from expected
    where hours_ago = 0
),

bands as (
    select
        judged.check_name,
        $width * least(quantile_cont(past.residual, 0.01) filter (where past.usual >= judged.usual / 2), -1.16) as below,
        $width * greatest(quantile_cont(past.residual, 0.99), 1.16) as above
    from judged
    inner join expected as past
        on judged.check_name = past.check_name
            and past.hours_ago > 0
    group by judged.check_name, judged.usual
)

select
    judged.check_name,
    judged.value::double as value,
    judged.usual,
    greatest(sqrt(judged.usual) + bands.below, 0) ** 2 as low,
    (sqrt(judged.usual) + bands.above) ** 2 as high,
    span.n_days,
    feed.is_live
from judged
left join bands
    on judged.check_name = bands.check_name
cross join span
cross join feed
order by judged.check_name
