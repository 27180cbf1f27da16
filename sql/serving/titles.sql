-- The title of every item.
--
-- grain:   one row per item with a description
-- reads:   raw.items
-- returns: item_id, title
select
    items.item_id,
    items.title
from raw.items as items
order by items.item_id
