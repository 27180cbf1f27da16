-- Where to start reading the change feed: the newest snapshot up to the first one wanted. The reader leaves out rows of earlier ones.
--
-- grain:   one row
-- params:  $wanted (snapshot)
-- returns: snapshot (null if all snapshots until then have expired), oldest (snapshot)
select
    max(snapshots.snapshot_id) filter (where snapshots.snapshot_id <= $wanted) as snapshot,
    min(snapshots.snapshot_id) as oldest
from ducklake_snapshots('lake') as snapshots
