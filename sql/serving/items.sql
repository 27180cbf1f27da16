-- What the catalogue says about every item.
--
-- grain:   one row per item with a description
-- reads:   raw.items
-- returns: item_id, title, categories, tags, price, is_available
select
    items.item_id,
    items.title,
    items.categories,
    items.tags,
    items.price,
    items.is_available
from raw.items as items
order by items.item_id
