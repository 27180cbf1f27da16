-- Every item with a description counts as changed, as in a night.
--
-- grain:   one row per item
-- params:  $snapshot (lake snapshot)
-- reads:   raw.items
-- returns: the temporary table changed_items: item_id
create or replace temp table changed_items as
select items.item_id
from raw.items as items at (version => $snapshot)
