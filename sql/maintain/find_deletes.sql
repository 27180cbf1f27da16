-- Tables of the lake that have files with deleted rows.
--
-- grain:   one row per table
-- returns: schema_name, table_name
select
    schemas.schema_name,
    tables.table_name
from __ducklake_metadata_lake.ducklake_delete_file as deletes
inner join __ducklake_metadata_lake.ducklake_table as tables on deletes.table_id = tables.table_id
inner join __ducklake_metadata_lake.ducklake_schema as schemas on tables.schema_id = schemas.schema_id
where deletes.end_snapshot is null
    and tables.end_snapshot is null
    and schemas.end_snapshot is null
group by schemas.schema_name, tables.table_name
order by schemas.schema_name, tables.table_name
