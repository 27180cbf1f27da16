-- Orphans: Parquet files under the data path that are not in the catalog, left behind by killed writers.
--
-- params:  $older_than (timestamp, UTC)
-- returns: path
call ducklake_delete_orphaned_files('lake', dry_run => true, older_than => $older_than)
