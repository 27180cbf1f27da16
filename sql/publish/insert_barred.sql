-- Adds the items that the condition of a scenario does not allow.
--
-- grain:   one row per scenario and item
-- reads:   barred_by_condition (registered: scenario, item_id)
-- writes:  barred (temporary: scenario, item_id)
insert into barred by name
select
    found.scenario,
    found.item_id
from barred_by_condition as found
