-- Rewrites the data files of one table in which at least a share of the rows is deleted into one file, as such files cannot be merged
-- with others.
--
-- params:  $schema, $table, $threshold (share of deleted rows)
-- returns: schema_name, table_name, files_processed, files_created
call ducklake_rewrite_data_files('lake', $table, schema => $schema, delete_threshold => $threshold)
