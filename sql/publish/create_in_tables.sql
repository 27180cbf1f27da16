-- The scenarios whose lists are in tables.
--
-- grain:   one row per scenario
-- params:  $names (varchar[]), $is_capped (boolean[], whether it caps categories)
-- returns: the temporary table in_tables: scenario, is_capped
create or replace temp table in_tables as
select
    unnest($names) as scenario,
    unnest($is_capped) as is_capped
