-- The pairs of user and item that are hidden because of an event of certain types within a time. Aliases count as their users.
--
-- grain:   one row per user and item
-- params:  $event_types (varchar[]), $seconds (double[], how long each type hides an item), $as_of (unix seconds)
-- reads:   raw.events, raw.user_aliases
-- returns: user_id, item_id, until_s (unix seconds)
with happened as (
    select
        coalesce(aliases.user_id, events.user_id) as user_id,
        events.item_id,
        epoch(happened_at(events.occurred_at, events.received_at)) + weight_of(events.event_type, $event_types, $seconds) as until_s
    from raw.events as events
    left join raw.user_aliases as aliases on events.user_id = aliases.alias
    where events.item_id is not null
        -- an event happened at occurred_at or before: this condition skips files
        and events.occurred_at > make_timestamp((($as_of - list_max($seconds)) * 1000000)::bigint)
        and list_contains($event_types, events.event_type)
)

select
    user_id,
    item_id,
    max(until_s) as until_s
from happened
where until_s > $as_of
group by user_id, item_id
order by user_id, item_id
