-- How many of the first rows have a comma in the column value.
--
-- reads:   peeked
-- returns: n_rows
select count(*) as n_rows
from peeked
where contains(value, ',')
