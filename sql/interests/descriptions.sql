-- What the catalogue says about the given items.
--
-- grain:   one row per item with a description
-- reads:   wanted (registered: item_id), raw.items
-- returns: item_id, title, categories, tags, price
select
    items.item_id,
    coalesce(items.title, '') as title,
    coalesce(items.categories, []) as categories,
    coalesce(items.tags, []) as tags,
    items.price
from raw.items as items
where items.item_id in (select wanted.item_id from wanted)
order by items.item_id
