-- Inserts the last events of the users with new events or merges: known and new events merged by time; ties follow lake order.
-- Items of events that no longer fit move to earlier_item_ids.
--
-- grain:   one row per user
-- params:  $max_events, $updated_at (timestamp, UTC)
-- reads:   renewed (registered: user_id),
--          histories (registered: user_id, item_ids, event_types, occurred_at, trends, earlier_item_ids, n_events),
--          fresh (registered: position, user_id, item_id, event_type, occurred_at, trend)
-- writes:  features.user_histories
insert into features.user_histories by name
with known as (
    select
        histories.user_id,
        unnest(histories.item_ids) as item_id,
        unnest(histories.event_types) as event_type,
        unnest(histories.occurred_at) as occurred_at,
        unnest(histories.trends) as trend,
        unnest(range(-len(histories.item_ids), 0)) as position  -- negative, as positions of fresh events start at 0
    from histories
    where histories.user_id in (select renewed.user_id from renewed)
),

together as ( -- noqa: ST03, as its name is passed to the macro
    select * from known
    union all by name
    select
        fresh.user_id,
        fresh.item_id,
        fresh.event_type,
        fresh.occurred_at,
        fresh.trend,
        fresh.position::bigint as position
    from fresh
)

select
    renewed.user_id as user_id,
    renewed.item_ids as item_ids,
    renewed.event_types as event_types,
    renewed.occurred_at as occurred_at,
    renewed.trends as trends,
    all_items(histories.earlier_item_ids, renewed.earlier_item_ids) as earlier_item_ids,
    renewed.n_events + coalesce(histories.n_events - len(histories.item_ids), 0) as n_events,
    $updated_at as updated_at
from histories_of('together', $max_events) as renewed
left join histories
    on renewed.user_id = histories.user_id
order by renewed.user_id
