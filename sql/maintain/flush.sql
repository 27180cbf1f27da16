-- Moves rows that small writes stored in the catalog into Parquet files.
--
-- returns: schema_name, table_name, rows_flushed
call ducklake_flush_inlined_data('lake')
