-- The rows that eval.outcomes should have from an hour on.
--
-- grain:   one row per impression
-- params:  $since (timestamp, UTC)
-- reads:   shown, attributed (temporary, as the statements before make them)
-- returns: fresh (temporary: the columns of eval.outcomes but for built_at)
create or replace temp table fresh as
with summed as (
    select
        impression_id,
        min(happened_at) filter (where act = 'click') as clicked_at,
        min(happened_at) filter (where act = 'purchase') as bought_at,
        sum(value order by happened_at, event_id) filter (where act = 'purchase') as value,
        arg_max(value, (happened_at, event_id)) filter (where act = 'rating') as rating
    from attributed
    group by impression_id
)

select
    shown.*,
    summed.clicked_at,
    summed.bought_at,
    summed.value,
    summed.rating
from shown
left join summed
    on shown.impression_id = summed.impression_id
where shown.shown_at >= $since
