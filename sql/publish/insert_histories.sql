-- The last events of each user on items, as the snapshot has them; ties in the order of the lake.
--
-- grain:   one row per user
-- params:  $snapshot (lake snapshot), $ignored_types (event types that teach nothing), $max_events, $updated_at (timestamp, UTC)
-- reads:   raw.events, trends (registered: user_id, trends: one number per event of the history)
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
    numbered.user_id as user_id,
    list(numbered.item_id order by numbered.occurred_at, numbered.position) as item_ids,
    list(numbered.event_type order by numbered.occurred_at, numbered.position) as event_types,
    list(numbered.occurred_at order by numbered.occurred_at, numbered.position) as occurred_at,
    case
        when len(any_value(trends.trends)) = count(*) then any_value(trends.trends)
        else list_transform(list(numbered.item_id), lambda item: null::float)
    end as trends,
    any_value(numbered.n_events) as n_events,
    $updated_at as updated_at
from numbered
left join trends
    on numbered.user_id = trends.user_id
where numbered.age <= $max_events
group by numbered.user_id
order by numbered.user_id
