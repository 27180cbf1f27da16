-- Rewrites every data file with deleted rows, as such files cannot be merged with others.
--
-- returns: schema_name, table_name, files_processed, files_created
call ducklake_rewrite_data_files('lake', delete_threshold => 0.0)
