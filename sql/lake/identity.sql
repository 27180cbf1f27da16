-- The identity of a catalog: its id since its creation, its data folder, its newest snapshot, and the commit time of a given snapshot.
--
-- grain:   one row
-- params:  $snapshot (the given snapshot)
-- returns: catalog, data_path, snapshot_id, committed_at, known_at (both in microseconds; known_at is null if the snapshot is unknown)
select
    (select schemas.schema_uuid::varchar from __ducklake_metadata_lake.ducklake_schema as schemas where schemas.schema_id = 0) as catalog,
    (select options.value from __ducklake_metadata_lake.ducklake_metadata as options where options.key = 'data_path') as data_path,
    max(snapshots.snapshot_id) as snapshot_id,
    arg_max(epoch_us(snapshots.snapshot_time::timestamptz), snapshots.snapshot_id) as committed_at,
    any_value(epoch_us(snapshots.snapshot_time::timestamptz)) filter (where snapshots.snapshot_id = $snapshot) as known_at
from __ducklake_metadata_lake.ducklake_snapshot as snapshots
