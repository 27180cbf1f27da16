-- Sets the bounds of text columns in the catalog to those of the current files, where all of these have bounds.
update __ducklake_metadata_lake.ducklake_table_column_stats as stats
set
    min_value = fresh.min_value,
    max_value = fresh.max_value
from (
    select
        of_file.table_id,
        of_file.column_id,
        min(of_file.min_value) as min_value,
        max(of_file.max_value) as max_value
    from __ducklake_metadata_lake.ducklake_file_column_stats as of_file
    inner join __ducklake_metadata_lake.ducklake_data_file as files on of_file.data_file_id = files.data_file_id
    inner join __ducklake_metadata_lake.ducklake_column as columns
        on of_file.table_id = columns.table_id and of_file.column_id = columns.column_id
    where files.end_snapshot is null
        and columns.end_snapshot is null
        and columns.column_type = 'varchar'
    group by of_file.table_id, of_file.column_id
    having count(*) = count(of_file.min_value)
) as fresh
where stats.table_id = fresh.table_id
    and stats.column_id = fresh.column_id
