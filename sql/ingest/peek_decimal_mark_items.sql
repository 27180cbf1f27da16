-- How many of the first rows have a comma in the column price.
--
-- reads:   first_rows
-- returns: n_rows
select count(*) as n_rows
from first_rows
where contains(price, ',')
