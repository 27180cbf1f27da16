-- How many of the first rows have a comma in the column value.
--
-- reads:   first_rows
-- returns: n_rows
select count(*) as n_rows
from first_rows
where contains(value, ',')
