-- Data files of which rows are deleted are written anew, however few: others cannot be merged with them until then.
--
-- returns: schema_name, table_name, files_processed, files_created
call ducklake_rewrite_data_files('lake', delete_threshold => 0.0)
