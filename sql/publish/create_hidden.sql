-- A table for the items that scenarios hide from users.
--
-- grain:   one row per scenario, user and item
-- returns: the temporary table hidden: scenario, user_id, item_id; without rows
create or replace temp table hidden (scenario varchar, user_id varchar, item_id varchar)
