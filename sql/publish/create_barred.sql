-- The withdrawn items, which no scenario shows.
--
-- grain:   one row per scenario and item
-- reads:   raw.items, in_tables (temporary: scenario)
-- returns: the temporary table barred: scenario, item_id
create or replace temp table barred as
select
    in_tables.scenario,
    items.item_id
from raw.items as items
cross join in_tables
where not items.is_available
