-- The rows of one Parquet file with their own types.
--
-- grain:   one row per row of the file
-- params:  variable path
create or replace temp view source_rows as
from read_parquet(getvariable('path'))
