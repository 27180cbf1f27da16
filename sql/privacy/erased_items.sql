-- The items that people to erase have in their histories.
--
-- grain:   one row per item
-- reads:   erasing (temporary: user_id), features.user_histories
-- returns: item_id
select distinct unnest(histories.item_ids) as item_id
from features.user_histories as histories
where histories.user_id in (select erasing.user_id from erasing)
