-- Deletes the files that no snapshot has needed since before a time.
--
-- params:  $older_than (timestamp, UTC)
-- returns: path
call ducklake_cleanup_old_files('lake', older_than => $older_than)
