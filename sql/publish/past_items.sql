-- The items of the past lists.
--
-- grain:   one row per item
-- reads:   past_lists (temporary: as create_past_lists makes it)
-- returns: item_id
select distinct unnest(past.item_ids) as item_id
from past_lists as past
order by item_id
