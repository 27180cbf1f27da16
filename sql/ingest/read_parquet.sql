-- The rows of one Parquet file with the types of the file.
--
-- grain:   one row per row of the file
-- params:  variables path, has_partitions (whether folders called name=value are columns)
create or replace temp view source_rows as
from read_parquet(getvariable('path'), hive_partitioning = getvariable('has_partitions'))
