-- What the catalogue says about the given items in words.
--
-- grain:   one row per item with a description
-- params:  none
-- reads:   wanted (registered: item_id), raw.items
-- returns: item_id, title (empty where there is none), labels (categories and tags; empty where there are none)
select
    items.item_id,
    coalesce(items.title, '') as title,
    list_concat(coalesce(items.categories, []), coalesce(items.tags, [])) as labels
from raw.items as items
where items.item_id in (select wanted.item_id from wanted)
order by items.item_id
