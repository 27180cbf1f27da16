-- The schema of a Parquet file, depth first from its root, with the names of the file.
--
-- params:  variable path
-- returns: name, num_children
select
    name,
    num_children
from parquet_schema(getvariable('path'))
