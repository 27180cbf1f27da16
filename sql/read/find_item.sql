-- Whether an item has a description or an event.
--
-- grain:   one row
-- params:  $item_id
-- reads:   raw.items, raw.events
-- returns: is_known
select
    exists (from raw.items where item_id = $item_id)
    or exists (from raw.events where item_id = $item_id) as is_known
