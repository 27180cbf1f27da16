-- Stores the items that moved in this run, for the stale lists that it could not refresh.
--
-- grain:   one row per item
-- params:  $snapshot (lake snapshot), $moved_at (timestamp, UTC)
-- reads:   moved (registered: item_id)
-- writes:  ops.moved_items
insert into ops.moved_items by name
select distinct
    moved.item_id as item_id,
    $snapshot as snapshot,
    $moved_at as moved_at
from moved
