-- How many lines of each segment of the API's log are taken in.
--
-- grain:   one row per segment
-- params:  $kind (events, items, aliases or served)
-- reads:   ops.api_positions
-- returns: segment, n_lines
select
    positions.segment,
    max(positions.n_lines) as n_lines
from ops.api_positions as positions
where positions.kind = $kind
group by positions.segment
order by positions.segment
