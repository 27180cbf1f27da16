-- Rows that small writes left in the catalog become Parquet files.
--
-- returns: schema_name, table_name, rows_flushed
call ducklake_flush_inlined_data('lake')
