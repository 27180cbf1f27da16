-- The last events of each user, oldest first, and the items of the events before them.
-- Events at the same time are ordered by position.
--
-- The caller names the table or common table expression with the events. DuckDB accepts no macro parameter in
-- `at (version => ...)`, so the caller also selects the snapshot.
--
-- grain:   one row per user
-- takes:   relation (its name: user_id, item_id, event_type, occurred_at, trend, position), max_events
-- returns: user_id, item_ids, event_types, occurred_at, trends, earlier_item_ids (sorted, may be empty), n_events (of both)
create or replace temp macro histories_of(relation, max_events) as table
with numbered as (
    select
        user_id,
        item_id,
        event_type,
        occurred_at,
        trend,
        count(*) over (partition by user_id) as n_events,
        row_number() over (partition by user_id order by occurred_at desc, position desc) as age
    from query_table(relation)
),

-- one sort per user: a separate ordered list for each column takes five times the memory
gathered as (
    select
        user_id,
        list_sort(
            list(
                {
                    'place': -age::integer,
                    'item_id': item_id,
                    'event_type': event_type,
                    'occurred_at': occurred_at,
                    'trend': trend
                }
            ) filter (where age <= max_events)
        ) as latest,
        list(distinct item_id) filter (where age > max_events) as earlier_item_ids,
        any_value(n_events) as n_events
    from numbered
    group by user_id
)

select
    user_id,
    list_transform(latest, lambda event: event.item_id) as item_ids,
    list_transform(latest, lambda event: event.event_type) as event_types,
    list_transform(latest, lambda event: event.occurred_at) as occurred_at,
    list_transform(latest, lambda event: event.trend) as trends,
    coalesce(list_sort(earlier_item_ids), []) as earlier_item_ids,
    n_events
from gathered
