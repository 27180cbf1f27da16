-- The tables of the catalog that hold rows of the lake's tables, until upkeep writes these rows to Parquet files.
--
-- grain:   one row per table of the catalog
-- returns: name, table_name
select
    inlined.table_name as name,
    any_value(schemas.schema_name || '.' || tables.table_name) as table_name
from __ducklake_metadata_lake.ducklake_inlined_data_tables as inlined
inner join __ducklake_metadata_lake.ducklake_table as tables
    on inlined.table_id = tables.table_id
inner join __ducklake_metadata_lake.ducklake_schema as schemas
    on tables.schema_id = schemas.schema_id
group by inlined.table_name
