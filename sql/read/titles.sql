-- The titles of some items.
--
-- grain:   one row per item with a description
-- params:  $item_ids (varchar[])
-- reads:   raw.items
-- returns: item_id, title
select
    item_id,
    title
from raw.items
where list_contains($item_ids, item_id)
order by item_id
