-- What the catalogue says about its items in words.
--
-- grain:   one row per item with a description
-- params:  none
-- reads:   raw.items
-- returns: item_id, title, labels (categories and tags; empty where there are none)
select
    item_id,
    coalesce(title, '') as title,
    list_concat(coalesce(categories, []), coalesce(tags, [])) as labels
from raw.items
order by item_id
