-- Histories of the given users at a snapshot: their last events on items, oldest first, and the items of earlier events. Ties follow
-- lake order. Aliases count as their users.
--
-- grain:   one row per user who has a history
-- params:  $snapshot (of the events), $until (of the aliases), $max_events, $event_types (varchar[]), $weights (double[])
-- reads:   at_hand (registered: user_id), raw.events, raw.user_aliases
-- returns: user_id, item_ids, event_types, occurred_at, times_s, weights, trends (unknown), earlier_item_ids, n_events
with wanted as (
    select
        at_hand.user_id as user_id,
        at_hand.user_id as id
    from at_hand
    union all
    select
        aliases.user_id,
        aliases.alias as id
    from raw.user_aliases as aliases at (version => $until)
    where aliases.user_id in (select at_hand.user_id from at_hand)
),

taught as (
    select
        wanted.user_id,
        events.item_id,
        events.event_type,
        happened_at(events.occurred_at, events.received_at) as occurred_at,
        null::float as trend,
        events.rowid as position
    from raw.events as events at (version => $snapshot)
    inner join wanted on events.user_id = wanted.id
    where events.item_id is not null
        and weight_of(events.event_type, $event_types, $weights) > 0
)

select
    user_id,
    item_ids,
    event_types,
    occurred_at,
    list_transform(occurred_at, lambda moment: epoch(moment)::bigint) as times_s,
    list_transform(event_types, lambda kind: weight_of(kind, $event_types, $weights)::float) as weights,
    trends,
    earlier_item_ids,
    n_events
from histories_of('taught', $max_events)
order by user_id
