-- Whether the lake still has a snapshot; upkeep and erasures let old ones expire.
--
-- grain:   one row
-- params:  $snapshot (lake snapshot)
-- returns: has_snapshot
select coalesce(bool_or(snapshots.snapshot_id = $snapshot), false) as has_snapshot
from ducklake_snapshots('lake') as snapshots
