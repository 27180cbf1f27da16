-- The schema of a Parquet file, depth first, from its root: the names as the file has them.
--
-- params:  variable path
-- returns: name, num_children
select
    name,
    num_children
from parquet_schema(getvariable('path'))
