-- Data files of which most rows are deleted are written anew.
--
-- returns: schema_name, table_name, files_processed, files_created
call ducklake_rewrite_data_files('lake')
