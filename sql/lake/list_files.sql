-- Every Parquet file that the catalog names in any snapshot, newest first.
--
-- grain:   one row per data file or file of deletes
-- params:  $data_path (varchar; ends with a separator)
-- returns: table_name, path, n_rows, n_bytes, n_footer_bytes, is_delete
with files as (
    select
        table_id,
        path,
        path_is_relative,
        record_count as n_rows,
        file_size_bytes as n_bytes,
        footer_size as n_footer_bytes,
        false as is_delete
    from __ducklake_metadata_lake.ducklake_data_file
    union all
    select
        table_id,
        path,
        path_is_relative,
        delete_count as n_rows,
        file_size_bytes as n_bytes,
        footer_size as n_footer_bytes,
        true as is_delete
    from __ducklake_metadata_lake.ducklake_delete_file
),

tables as (
    select
        tables.table_id,
        schemas.schema_name || '.' || tables.table_name as table_name,
        case
            when not tables.path_is_relative then tables.path
            when not schemas.path_is_relative then schemas.path || tables.path
            else $data_path || schemas.path || tables.path
        end as folder
    from __ducklake_metadata_lake.ducklake_table as tables
    inner join __ducklake_metadata_lake.ducklake_schema as schemas on tables.schema_id = schemas.schema_id
    qualify row_number() over (partition by tables.table_id order by tables.begin_snapshot desc, schemas.begin_snapshot desc) = 1
)

select
    tables.table_name,
    case when files.path_is_relative then tables.folder else '' end || files.path as path,
    files.n_rows,
    files.n_bytes,
    files.n_footer_bytes,
    files.is_delete
from files
inner join tables on files.table_id = tables.table_id
order by files.path desc
