-- Rewrites every data file of one table that has deleted rows, as such files cannot be merged with others.
--
-- params:  $schema, $table
-- returns: schema_name, table_name, files_processed, files_created
call ducklake_rewrite_data_files('lake', $table, schema => $schema, delete_threshold => 0.0)
