-- The rows that eval.online should have: of the hours from a time on, and of earlier ones whose impressions are not those of eval.outcomes.
--
-- Earlier hours differ after an erasure. Hours older than all outcomes stay as they are, because the outcomes are kept for a shorter time.
--
-- grain:   one row per hour, version, scenario, source, slot, position, segment, arm and metric
-- params:  $since, $oldest (timestamps, UTC: before $oldest, outcomes are not kept)
-- reads:   eval.outcomes, eval.online
-- returns: rates (temporary: the columns of eval.online)
create or replace temp table rates as
with counted as (
    select
        date_trunc('hour', shown_at) as hour,
        count(*) as n
    from eval.outcomes
    group by date_trunc('hour', shown_at)
),

summed as (
    select
        hour,
        sum(denominator) as n
    from eval.online
    where metric = 'ctr'
    group by hour
),

hours as (
    select coalesce(counted.hour, summed.hour) as hour
    from counted
    full outer join summed
        on counted.hour = summed.hour
    where coalesce(counted.hour, summed.hour) >= $oldest
        and (
            coalesce(counted.hour, summed.hour) >= $since
            or (
                counted.n is distinct from summed.n
                and coalesce(counted.hour, summed.hour) >= (select min(each.hour) from counted as each)
            )
        )
),

cells as (
    select
        date_trunc('hour', shown_at) as hour,
        model_version,
        scenario,
        source,
        slot,
        position,
        segment,
        arm,
        count(*) as n_shown,
        count(clicked_at) as n_clicked,
        count(bought_at) as n_bought,
        coalesce(sum(value order by shown_at, impression_id), 0) as total_value,
        coalesce(sum(rating order by shown_at, impression_id), 0) as total_rating,
        count(rating) as n_rated
    from eval.outcomes
    where date_trunc('hour', shown_at) in (select hours.hour from hours)
    group by all
),

metrics as (
    select
        'ctr' as metric,
        n_clicked::double as numerator,
        n_shown::double as denominator,
        *
    from cells
    union all
    select
        'conversion' as metric,
        n_bought::double as numerator,
        n_shown::double as denominator,
        *
    from cells
    union all
    select
        'value' as metric,
        total_value as numerator,
        n_shown::double as denominator,
        *
    from cells
    union all
    select
        'satisfaction' as metric,
        total_rating as numerator,
        n_rated::double as denominator,
        *
    from cells
    where n_rated > 0
)

select
    hours.hour,
    metrics.model_version,
    metrics.scenario,
    metrics.source,
    metrics.slot,
    metrics.position,
    metrics.segment,
    metrics.arm,
    metrics.metric,
    metrics.numerator,
    metrics.denominator,
    metrics.numerator / metrics.denominator as value
from hours
left join metrics
    on hours.hour = metrics.hour
