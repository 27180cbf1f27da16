-- The last events of some users on items, oldest first, as a snapshot has them, and the items of those before them; ties in the order
-- of the lake.
-- None happened later than it came in, whatever its clock said.
--
-- grain:   one row per user who has a history
-- params:  $snapshot (lake snapshot), $max_events, $event_types (varchar[]), $weights (double[])
-- reads:   at_hand (registered: user_id), raw.events
-- returns: user_id, item_ids, event_types, occurred_at, times_s, weights, trends (not known), earlier_item_ids, n_events
with weighed as (
    select
        events.user_id,
        events.item_id,
        events.event_type,
        least(events.occurred_at, events.received_at) as occurred_at,
        events.rowid as position,
        coalesce($weights[list_position($event_types, events.event_type)], 1.0) as weight
    from raw.events as events at (version => $snapshot)
    where events.item_id is not null
        and events.user_id in (select at_hand.user_id from at_hand)
),

numbered as (
    select
        *,
        count(*) over (partition by user_id) as n_events,
        row_number() over (partition by user_id order by occurred_at desc, position desc) as age
    from weighed
    where weighed.weight > 0
),

earlier as (
    select
        user_id,
        list_sort(list(distinct item_id)) as item_ids
    from numbered
    where age > $max_events
    group by user_id
)

select
    numbered.user_id as user_id,
    list(numbered.item_id order by numbered.occurred_at, numbered.position) as item_ids,
    list(numbered.event_type order by numbered.occurred_at, numbered.position) as event_types,
    list(numbered.occurred_at order by numbered.occurred_at, numbered.position) as occurred_at,
    list(epoch(numbered.occurred_at)::bigint order by numbered.occurred_at, numbered.position) as times_s,
    list(numbered.weight::float order by numbered.occurred_at, numbered.position) as weights,
    list_transform(list(numbered.item_id), lambda item: null::float) as trends,
    coalesce(any_value(earlier.item_ids), []) as earlier_item_ids,
    any_value(numbered.n_events) as n_events
from numbered
left join earlier
    on numbered.user_id = earlier.user_id
where numbered.age <= $max_events
group by numbered.user_id
order by numbered.user_id
