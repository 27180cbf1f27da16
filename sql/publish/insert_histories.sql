-- Inserts the history of each user at a snapshot: the last events on items, and the items of earlier events. Ties follow lake order.
-- Aliases count as their users.
--
-- grain:   one row per user
-- params:  $snapshot (lake snapshot), $ignored_types (event types without weight), $max_events, $updated_at (timestamp, UTC)
-- reads:   raw.events, raw.user_aliases, trends (registered: user_id, trends: one number per event of the history)
-- writes:  features.user_histories
insert into features.user_histories by name
with taught as (
    select
        coalesce(aliases.user_id, events.user_id) as user_id,
        events.item_id,
        events.event_type,
        happened_at(events.occurred_at, events.received_at) as occurred_at,
        null::float as trend,
        events.rowid as position
    from raw.events as events at (version => $snapshot)
    left join raw.user_aliases as aliases at (version => $snapshot) on events.user_id = aliases.alias
    where events.item_id is not null
        and not list_contains($ignored_types::varchar[], events.event_type)
)

select
    histories.user_id as user_id,
    histories.item_ids as item_ids,
    histories.event_types as event_types,
    histories.occurred_at as occurred_at,
    case when len(trends.trends) = len(histories.item_ids) then trends.trends else histories.trends end as trends,
    histories.earlier_item_ids as earlier_item_ids,
    histories.n_events as n_events,
    $updated_at as updated_at
from histories_of('taught', $max_events) as histories
left join trends
    on histories.user_id = trends.user_id
order by histories.user_id
