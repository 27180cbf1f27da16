-- The items with their titles and categories, and how popular each is: `popular` items have the first half of all events between them,
-- `middle` ones the next four tenths, `rare` ones the rest.
--
-- grain:   one row per item that is described or has an event
-- params:  $ignored_types (varchar[]; their events do not count)
-- reads:   raw.items, raw.events
-- returns: item_id, title, categories (empty if unknown), popularity
with counted as (
    select
        item_id,
        count(*) as n_events
    from raw.events
    where item_id is not null
        and not list_contains($ignored_types, event_type)
    group by item_id
),

joined as (
    select
        coalesce(items.item_id, counted.item_id) as item_id,
        items.title as title,
        coalesce(items.categories, []) as categories,
        coalesce(counted.n_events, 0) as n_events
    from raw.items as items
    full join counted
        on items.item_id = counted.item_id
),

placed as (
    select
        joined.*,
        sum(joined.n_events) over (order by joined.n_events desc, joined.item_id) - joined.n_events as n_before,
        sum(joined.n_events) over () as n_all
    from joined
)

select
    placed.item_id as item_id,
    placed.title as title,
    placed.categories as categories,
    case
        when placed.n_events > 0 and placed.n_before < 0.5 * placed.n_all then 'popular'
        when placed.n_events > 0 and placed.n_before < 0.9 * placed.n_all then 'middle'
        else 'rare'
    end as popularity
from placed
order by placed.item_id
