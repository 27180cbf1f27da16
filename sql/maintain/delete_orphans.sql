-- Delete the Parquet files under the data path that the catalog does not know.
--
-- params:  $older_than (timestamp, UTC)
-- returns: path
call ducklake_delete_orphaned_files('lake', older_than => $older_than)
