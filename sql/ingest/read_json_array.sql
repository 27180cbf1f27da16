-- The elements of a file that is one JSON array.
--
-- grain:   one row per element
-- params:  variable path
create or replace temp view source_rows as
select json::varchar as c0
from read_json_objects(getvariable('path'), format = 'array', hive_partitioning = false)
