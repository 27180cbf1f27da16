-- Like hidden_of_all, for some users.
--
-- grain:   one row per user and item
-- params:  $event_types (varchar[]), $seconds (double[], how long each type hides an item), $as_of (unix seconds)
-- reads:   raw.events, raw.user_aliases, at_hand (registered: user_id)
-- returns: user_id, item_id, until_s (unix seconds)
with ids as (
    select
        at_hand.user_id as id,
        at_hand.user_id as user_id
    from at_hand
    union all
    select
        aliases.alias as id,
        aliases.user_id as user_id
    from raw.user_aliases as aliases
    where aliases.user_id in (select at_hand.user_id from at_hand)
),

happened as (
    select
        ids.user_id as user_id,
        events.item_id,
        epoch(happened_at(events.occurred_at, events.received_at)) + weight_of(events.event_type, $event_types, $seconds) as until_s
    from raw.events as events
    inner join ids on events.user_id = ids.id
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
