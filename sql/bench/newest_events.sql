-- The newest events, oldest first.
--
-- grain:   one row per event
-- params:  $n_events
-- reads:   raw.events
-- returns: user_id, item_id, time_s
select
    newest.user_id,
    newest.item_id,
    epoch(newest.occurred_at)::bigint as time_s
from (
    select
        events.user_id,
        events.item_id,
        events.occurred_at
    from raw.events as events
    order by events.occurred_at desc
    limit $n_events
) as newest
order by newest.occurred_at
