-- The last events of each user on items, as the snapshot has them; ties in the order of the lake.
--
-- grain:   one row per user
-- params:  $snapshot (lake snapshot), $ignored_types (event types that teach nothing), $max_events, $updated_at (timestamp, UTC)
-- reads:   raw.events
-- writes:  features.user_histories
insert into features.user_histories by name
with numbered as (
    select
        events.user_id,
        events.item_id,
        events.event_type,
        events.occurred_at,
        events.rowid as position,
        count(*) over (partition by events.user_id) as n_events,
        row_number() over (partition by events.user_id order by events.occurred_at desc, events.rowid desc) as age
    from raw.events as events at (version => $snapshot)
    where events.item_id is not null
        and not list_contains($ignored_types::varchar[], events.event_type)
)

select
    user_id,
    list(item_id order by occurred_at, position) as item_ids,
    list(event_type order by occurred_at, position) as event_types,
    list(occurred_at order by occurred_at, position) as occurred_at,
    any_value(n_events) as n_events,
    $updated_at as updated_at
from numbered
where age <= $max_events
group by user_id
order by user_id
