-- Parquet files of this size at most: a file whose rows are partly deleted is rewritten as a whole, while other writers wait.
call lake.set_option('target_file_size', '16MB')
