-- Records how many lines of segments of the API's log are taken in.
--
-- grain:   one row per segment
-- reads:   fresh_positions (temporary: segment, kind, n_lines)
-- writes:  ops.api_positions
insert into ops.api_positions by name
select
    fresh_positions.segment as segment,
    fresh_positions.kind as kind,
    fresh_positions.n_lines as n_lines,
    now()::timestamp as taken_at
from fresh_positions
order by fresh_positions.segment
