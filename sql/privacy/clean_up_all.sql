-- Deletes the files that no snapshot needs, however recently it expired.
--
-- returns: path
call ducklake_cleanup_old_files('lake', cleanup_all => true)
