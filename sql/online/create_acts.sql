-- Impressions and what can be their outcome, from a time on. Aliases count as their users.
--
-- A view that names a list counts as a click in it.
--
-- grain:   one row per event
-- params:  $begin (timestamp, UTC)
-- reads:   raw.events, raw.user_aliases
-- returns: acts (temporary: event_id, own_id, user_id, item_id, act, value, recommendation_id, position, happened_at)
create or replace temp table acts as
select
    events.event_id as event_id,
    events.user_id as own_id,
    coalesce(aliases.user_id, events.user_id) as user_id,
    events.item_id as item_id,
    case events.event_type when 'view' then 'click' else events.event_type end as act,
    events.value as value,
    events.recommendation_id as recommendation_id,
    events.position as position,
    happened_at(events.occurred_at, events.received_at) as happened_at
from raw.events as events
left join raw.user_aliases as aliases
    on events.user_id = aliases.alias
where happened_at(events.occurred_at, events.received_at) >= $begin
    and events.item_id is not null
    and (
        events.event_type in ('impression', 'click', 'purchase', 'rating')
        or (events.event_type = 'view' and events.recommendation_id is not null)
    )
