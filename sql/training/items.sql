-- The catalog: every item with a description or a training event; the position of an item is its row number.
--
-- grain:   one row per item
-- params:  $event_types (varchar[]), $weights (double[])
-- reads:   raw.events, raw.items
-- returns: item_id, is_available, title
with known as (
    select e.item_id
    from raw.events as e
    where e.item_id is not null
        and weight_of(e.event_type, $event_types, $weights) > 0
    union
    select r.item_id
    from raw.items as r
)

select
    k.item_id,
    coalesce(i.is_available, true) as is_available,
    coalesce(i.title, k.item_id) as title
from known as k
left join raw.items as i on k.item_id = i.item_id
order by k.item_id
