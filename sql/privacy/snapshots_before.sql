-- The snapshots before one.
--
-- grain:   one row per snapshot
-- params:  $snapshot
-- returns: snapshot_id
select snapshots.snapshot_id
from ducklake_snapshots('lake') as snapshots
where snapshots.snapshot_id < $snapshot
order by snapshots.snapshot_id
