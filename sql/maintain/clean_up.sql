-- Delete the files that no snapshot needs, if they were given up before a time.
--
-- params:  $older_than (timestamp, UTC)
-- returns: path
call ducklake_cleanup_old_files('lake', older_than => $older_than)
