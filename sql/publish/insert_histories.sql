-- The last events of each user on items, as the snapshot has them, and the items of those before them; ties in the order of the lake.
-- None happened later than it came in, whatever its clock said.
--
-- grain:   one row per user
-- params:  $snapshot (lake snapshot), $ignored_types (event types that teach nothing), $max_events, $updated_at (timestamp, UTC)
-- reads:   raw.events, trends (registered: user_id, trends: one number per event of the history)
-- writes:  features.user_histories
insert into features.user_histories by name
with taught as (
    select
        events.user_id,
        events.item_id,
        events.event_type,
        least(events.occurred_at, events.received_at) as occurred_at,
        events.rowid as position
    from raw.events as events at (version => $snapshot)
    where events.item_id is not null
        and not list_contains($ignored_types::varchar[], events.event_type)
),

numbered as (
    select
        taught.*,
        count(*) over (partition by taught.user_id) as n_events,
        row_number() over (partition by taught.user_id order by taught.occurred_at desc, taught.position desc) as age
    from taught
),

-- sorted once a user: an ordered list for each column takes five times the memory
gathered as (
    select
        numbered.user_id,
        list_sort(
            list(
                {
                    'place': -numbered.age,
                    'item_id': numbered.item_id,
                    'event_type': numbered.event_type,
                    'occurred_at': numbered.occurred_at
                }
            ) filter (where numbered.age <= $max_events)
        ) as events,
        list(distinct numbered.item_id) filter (where numbered.age > $max_events) as earlier_item_ids,
        any_value(numbered.n_events) as n_events
    from numbered
    group by numbered.user_id
)

select
    gathered.user_id as user_id,
    list_transform(gathered.events, lambda event: event.item_id) as item_ids,
    list_transform(gathered.events, lambda event: event.event_type) as event_types,
    list_transform(gathered.events, lambda event: event.occurred_at) as occurred_at,
    case
        when len(trends.trends) = len(gathered.events) then trends.trends
        else list_transform(gathered.events, lambda event: null::float)
    end as trends,
    coalesce(list_sort(gathered.earlier_item_ids), []) as earlier_item_ids,
    gathered.n_events as n_events,
    $updated_at as updated_at
from gathered
left join trends
    on gathered.user_id = trends.user_id
order by gathered.user_id
