-- The rows that eval.outcomes should have from an hour on.
--
-- The list for unknown users is the same in all arms, so that it belongs to none.
--
-- grain:   one row per impression
-- params:  $since (timestamp, UTC)
-- reads:   shown, attributed (temporary, as the statements before make them), arms (registered: user_id, arm, started_at, stopped_at)
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
    shown.* exclude (segment, shown_at),
    arms.arm,
    shown.segment,
    shown.shown_at,
    summed.clicked_at,
    summed.bought_at,
    summed.value,
    summed.rating
from shown
left join summed
    on shown.impression_id = summed.impression_id
left join arms
    on shown.user_id = arms.user_id
        and shown.shown_at >= arms.started_at
        and coalesce(shown.shown_at < arms.stopped_at, true)
        and shown.source <> 'popular'
where shown.shown_at >= $since
qualify row_number() over (partition by shown.impression_id order by arms.started_at desc) = 1
