-- Items seen together with each touched item, before any is found.
--
-- grain:   one row per pair of items
-- returns: the temporary table together: source (item node), target (item node), weight
create or replace temp table together (source varchar, target varchar, weight double)
