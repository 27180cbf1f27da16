-- Rates of the impressions since a time by one property of them, with the sums over users that their intervals need.
--
-- grain:   one row per value of the property and metric
-- params:  $property (varchar: a column of eval.outcomes, or all), $since (timestamp, UTC, or null for all)
-- reads:   eval.outcomes
-- returns: name, metric, n_users, x (numerator), n (denominator), xx, xn, nn (sums of x^2, x n and n^2 over users)
with shown as (
    select
        user_id,
        case $property
            when 'model_version' then model_version
            when 'scenario' then scenario
            when 'source' then source
            when 'position' then position::varchar
            when 'segment' then segment
            when 'slot' then slot
            when 'arm' then coalesce(arm, 'no experiment')
            else 'all'
        end as name,
        clicked_at,
        bought_at,
        value,
        rating
    from eval.outcomes
    where $since is null
        or shown_at >= $since::timestamp
),

users as (
    select
        name,
        user_id,
        count(*) as n_shown,
        count(clicked_at) as n_clicked,
        count(bought_at) as n_bought,
        coalesce(sum(value), 0) as total_value,
        coalesce(sum(rating), 0) as total_rating,
        count(rating) as n_rated
    from shown
    group by name, user_id
),

metrics as (
    select
        name,
        'ctr' as metric,
        n_clicked::double as x,
        n_shown::double as n
    from users
    union all
    select
        name,
        'conversion' as metric,
        n_bought::double as x,
        n_shown::double as n
    from users
    union all
    select
        name,
        'value' as metric,
        total_value as x,
        n_shown::double as n
    from users
    union all
    select
        name,
        'satisfaction' as metric,
        total_rating as x,
        n_rated::double as n
    from users
    where n_rated > 0
)

select
    name,
    metric,
    count(*) as n_users,
    sum(x) as x,
    sum(n) as n,
    sum(x * x) as xx,
    sum(x * n) as xn,
    sum(n * n) as nn
from metrics
group by name, metric
order by try_cast(name as bigint), name, metric
