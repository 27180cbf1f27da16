-- Merges small adjacent data files.
--
-- returns: schema_name, table_name, files_processed, files_created
call ducklake_merge_adjacent_files('lake')
