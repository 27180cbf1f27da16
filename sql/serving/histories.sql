-- The histories of all users, oldest event first.
--
-- grain:   one row per user
-- params:  $max_events, $event_types (varchar[]), $weights (double[])
-- reads:   features.user_histories
-- returns: user_id, item_ids, event_types, occurred_at, times_s, weights, trends, earlier_item_ids (empty if unknown), n_events
select
    histories.user_id,
    histories.item_ids[-$max_events:] as item_ids,
    histories.event_types[-$max_events:] as event_types,
    histories.occurred_at[-$max_events:] as occurred_at,
    list_transform(histories.occurred_at[-$max_events:], lambda moment: epoch(moment)::bigint) as times_s,
    list_transform(histories.event_types[-$max_events:], lambda kind: weight_of(kind, $event_types, $weights)::float) as weights,
    coalesce(histories.trends, list_transform(histories.item_ids, lambda item: null::float))[-$max_events:] as trends,
    all_items(histories.earlier_item_ids, histories.item_ids[:-$max_events - 1]) as earlier_item_ids,
    histories.n_events
from features.user_histories as histories
order by histories.user_id
