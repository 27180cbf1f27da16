-- Training events: events on items with a weight above 0, oldest first, with row numbers instead of ids. Aliases count as their users.
--
-- grain:   one row per event
-- params:  $event_types (varchar[]), $weights (double[])
-- reads:   raw.events, raw.user_aliases, raw.items
-- returns: user_row, item_row, kind, time_s, weight
with weighed as (
    select
        coalesce(a.user_id, e.user_id) as user_id,
        e.item_id,
        e.event_type,
        happened_at(e.occurred_at, e.received_at) as occurred_at,
        e.rowid as lake_order,
        weight_of(e.event_type, $event_types, $weights) as weight
    from raw.events as e
    left join raw.user_aliases as a on e.user_id = a.alias
    where e.item_id is not null
),

taught as (
    select *
    from weighed
    where weight > 0
),

users as (
    select
        user_id,
        row_number() over (order by user_id) - 1 as user_row
    from (select distinct user_id from taught)
),

items as (
    select
        item_id,
        row_number() over (order by item_id) - 1 as item_row
    from (
        select item_id from taught
        union
        select item_id from raw.items
    )
)

select
    u.user_row,
    i.item_row,
    t.event_type as kind,
    epoch(t.occurred_at)::bigint as time_s,
    t.weight::float as weight
from taught as t
inner join users as u on t.user_id = u.user_id
inner join items as i on t.item_id = i.item_id
order by t.occurred_at, t.lake_order
