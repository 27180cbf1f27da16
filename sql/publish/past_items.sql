-- The items of the past lists.
--
-- grain:   one row per item
-- reads:   past_lists (temporary: the columns of recs.list_history)
-- returns: item_id
select distinct unnest(past.item_ids) as item_id
from past_lists as past
order by item_id
