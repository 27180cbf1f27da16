-- Has the files of the list history compressed more: they are written often and read rarely.
call lake.set_option('parquet_compression', 'zstd', schema => 'recs', table_name => 'list_history')
