-- The last events of the users with new events: what was known of them and the new ones, by time; ties in the order of the lake.
-- The items of events that make room are kept apart, with those known to be of events before.
--
-- grain:   one row per user
-- params:  $max_events, $updated_at (timestamp, UTC)
-- reads:   histories (registered: user_id, item_ids, event_types, occurred_at, trends, earlier_item_ids, n_events),
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
        unnest(range(len(histories.item_ids))) as position,
        false as is_fresh
    from histories
    where histories.user_id in (select fresh.user_id from fresh)
),

together as (
    select * from known
    union all by name
    select
        fresh.user_id,
        fresh.item_id,
        fresh.event_type,
        fresh.occurred_at,
        fresh.trend,
        fresh.position::bigint as position,
        true as is_fresh
    from fresh
),

numbered as (
    select
        *,
        count(*) filter (where is_fresh) over (partition by user_id) as n_fresh,
        row_number() over (partition by user_id order by occurred_at desc, is_fresh desc, position desc) as age
    from together
),

gone as (
    select
        user_id,
        list(item_id) as item_ids
    from numbered
    where age > $max_events
    group by user_id
)

select
    numbered.user_id as user_id,
    list(numbered.item_id order by numbered.age desc) as item_ids,
    list(numbered.event_type order by numbered.age desc) as event_types,
    list(numbered.occurred_at order by numbered.age desc) as occurred_at,
    list(numbered.trend order by numbered.age desc) as trends,
    coalesce(
        list_sort(list_distinct(list_concat(any_value(histories.earlier_item_ids), any_value(gone.item_ids)))), []
    ) as earlier_item_ids,
    any_value(numbered.n_fresh) + coalesce(any_value(histories.n_events), 0) as n_events,
    $updated_at as updated_at
from numbered
left join histories
    on numbered.user_id = histories.user_id
left join gone
    on numbered.user_id = gone.user_id
where numbered.age <= $max_events
group by numbered.user_id
order by numbered.user_id
