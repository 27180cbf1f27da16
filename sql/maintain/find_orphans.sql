-- Parquet files under the data path that the catalog does not know: what killed writers left.
--
-- params:  $older_than (timestamp, UTC)
-- returns: path
call ducklake_delete_orphaned_files('lake', dry_run => true, older_than => $older_than)
