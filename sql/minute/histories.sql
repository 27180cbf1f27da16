-- Histories of the given users: their last events, oldest first, and the items of earlier events. The histories of aliases that are
-- published under their own ids are merged into those of their users by time.
--
-- grain:   one row per user who has a history
-- params:  $max_events, $event_types (varchar[]), $weights (double[])
-- reads:   at_hand (registered: user_id), raw.user_aliases, features.user_histories
-- returns: user_id, item_ids, event_types, occurred_at, times_s, weights, trends, earlier_item_ids (empty if unknown), n_events
with wanted as (
    select
        at_hand.user_id as user_id,
        at_hand.user_id as id
    from at_hand
    union all
    select
        aliases.user_id,
        aliases.alias as id
    from raw.user_aliases as aliases
    where aliases.user_id in (select at_hand.user_id from at_hand)
),

found as (
    select
        wanted.user_id,
        histories.user_id as id,
        histories.item_ids,
        histories.event_types,
        histories.occurred_at,
        coalesce(histories.trends, list_transform(histories.item_ids, lambda item: null::float)) as trends,
        histories.earlier_item_ids,
        histories.n_events
    from features.user_histories as histories
    inner join wanted on histories.user_id = wanted.id
),

several as (
    select
        found.user_id,
        flatten(list(coalesce(found.earlier_item_ids, []))) as earlier_item_ids,
        sum(found.n_events - len(found.item_ids))::bigint as n_earlier
    from found
    group by found.user_id
    having count(*) > 1
),

together as ( -- noqa: ST03, as its name is passed to the macro
    select
        found.user_id,
        unnest(found.item_ids) as item_id,
        unnest(found.event_types) as event_type,
        unnest(found.occurred_at) as occurred_at,
        unnest(found.trends) as trend,
        unnest(list_transform(range(len(found.item_ids)), lambda place: struct_pack(id := found.id, place := place))) as position
    from found
    where found.user_id in (select several.user_id from several)
),

both_kinds as (
    select
        found.user_id,
        found.item_ids[-$max_events:] as item_ids,
        found.event_types[-$max_events:] as event_types,
        found.occurred_at[-$max_events:] as occurred_at,
        found.trends[-$max_events:] as trends,
        all_items(found.earlier_item_ids, found.item_ids[:-$max_events - 1]) as earlier_item_ids,
        found.n_events
    from found
    where found.user_id not in (select several.user_id from several)
    union all by name
    select
        merged.user_id,
        merged.item_ids,
        merged.event_types,
        merged.occurred_at,
        merged.trends,
        all_items(several.earlier_item_ids, merged.earlier_item_ids) as earlier_item_ids,
        merged.n_events + several.n_earlier as n_events
    from histories_of('together', $max_events) as merged
    inner join several on merged.user_id = several.user_id
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
from both_kinds
order by user_id
