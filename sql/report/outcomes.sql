-- What people did with what they were shown, by day and arm.
--
-- grain:   one row per day and arm with impressions
-- params:  $since (timestamp, UTC)
-- reads:   eval.online
-- returns: day, arm (null without an experiment), n_shown, n_clicked, n_bought, worth
select
    date_trunc('day', hour)::date as day,
    arm,
    sum(denominator) filter (where metric = 'ctr')::bigint as n_shown,
    coalesce(sum(numerator) filter (where metric = 'ctr'), 0)::bigint as n_clicked,
    coalesce(sum(numerator) filter (where metric = 'conversion'), 0)::bigint as n_bought,
    coalesce(sum(numerator) filter (where metric = 'value'), 0)::double as worth
from eval.online
where hour >= $since::timestamp
    and slot in ('ranked', 'exploration')
group by date_trunc('day', hour)::date, arm
having sum(denominator) filter (where metric = 'ctr') > 0
order by day, arm
