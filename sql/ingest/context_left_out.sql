-- The context keys of the staged events that were dropped.
--
-- grain:   one row per key
-- reads:   staged
-- returns: name
select distinct unnest(left_out) as name
from staged
where left_out is not null
order by name
