-- How many lines of the given segments of the API's log a snapshot of the lake contains.
--
-- grain:   one row per segment and kind
-- params:  $snapshot (lake snapshot)
-- reads:   kept (registered: segment), ops.api_positions
-- returns: segment, kind, n_lines
select
    positions.segment,
    positions.kind,
    max(positions.n_lines) as n_lines
from ops.api_positions as positions
where positions.snapshot_id <= $snapshot
    and positions.segment in (select kept.segment from kept)
group by positions.segment, positions.kind
order by positions.segment, positions.kind
