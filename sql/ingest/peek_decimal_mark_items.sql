-- The number of first rows that have a comma in the column price.
--
-- reads:   peeked
-- returns: n_rows
select count(*) as n_rows
from peeked
where contains(price, ',')
