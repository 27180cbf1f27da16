-- The events that histories are made of, by user. Aliases count as their users.
--
-- grain:   one row per event
-- params:  $ignored_types (event types without weight)
-- reads:   raw.events, raw.user_aliases
-- returns: user_id, item_id, event_type, occurred_at, trend (unknown), position (order in the lake)
select
    coalesce(aliases.user_id, events.user_id) as user_id,
    events.item_id as item_id,
    events.event_type as event_type,
    happened_at(events.occurred_at, events.received_at) as occurred_at,
    null::float as trend,
    events.rowid as position
from raw.events as events
left join raw.user_aliases as aliases on events.user_id = aliases.alias
where events.item_id is not null
    and not list_contains($ignored_types::varchar[], events.event_type)
order by coalesce(aliases.user_id, events.user_id), events.rowid
