-- The description of one item.
--
-- grain:   one row, none for an item without a description
-- params:  $item_id
-- reads:   raw.items
-- returns: title, is_available
select
    title,
    is_available
from raw.items
where item_id = $item_id
