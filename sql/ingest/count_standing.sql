-- How many rows of this kind the lake has refused, and not taken in since.
--
-- params:  $kind (varchar)
-- reads:   raw.rejected
-- returns: n_rows
select count(*) as n_rows
from raw.rejected
where kind = $kind
