-- What the catalogue says about every item.
--
-- grain:   one row per item with a description
-- reads:   raw.items
-- returns: item_id, title, description, categories, tags, price, is_available, first_seen_at, updated_at
select
    items.item_id,
    items.title,
    items.description,
    items.categories,
    items.tags,
    items.price,
    items.is_available,
    items.first_seen_at,
    items.updated_at
from raw.items as items
order by items.item_id
