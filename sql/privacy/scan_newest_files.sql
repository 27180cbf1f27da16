-- The names of the Parquet files that the newest state of the lake reads.
--
-- grain:   one row per data file or file of deletes
-- returns: name
select parse_filename(path) as name
from __ducklake_metadata_lake.ducklake_data_file
where end_snapshot is null
union all
select parse_filename(path) as name
from __ducklake_metadata_lake.ducklake_delete_file
where end_snapshot is null
