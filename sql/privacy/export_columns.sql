-- The columns of text of all tables of the lake.
--
-- grain:   one row per column
-- returns: table_name, column_name
select
    columns.schema_name || '.' || columns.table_name as table_name,
    columns.column_name
from duckdb_columns() as columns
inner join duckdb_tables() as tables
    on columns.database_name = tables.database_name
        and columns.schema_name = tables.schema_name
        and columns.table_name = tables.table_name
where columns.database_name = 'lake'
    and columns.data_type = 'VARCHAR'
order by table_name, columns.column_index
