-- Which files of a table a transaction rewrites: those with the largest shares of deleted rows, as many as fit into a number of bytes.
--
-- grain:   one row, none if no file has deleted rows
-- params:  $schema, $table, $n_bytes
-- returns: threshold (a share of deleted rows that lies between those of these files and of all others; 0 if these are all)
with shares as (
    select
        (deletes.delete_count / files.record_count)::float as share,
        sum(files.file_size_bytes) as n_bytes
    from __ducklake_metadata_lake.ducklake_delete_file as deletes
    inner join __ducklake_metadata_lake.ducklake_data_file as files on deletes.data_file_id = files.data_file_id
    inner join __ducklake_metadata_lake.ducklake_table as tables on files.table_id = tables.table_id
    inner join __ducklake_metadata_lake.ducklake_schema as schemas on tables.schema_id = schemas.schema_id
    where deletes.end_snapshot is null
        and files.end_snapshot is null
        and tables.end_snapshot is null
        and schemas.end_snapshot is null
        and schemas.schema_name = $schema
        and tables.table_name = $table
    group by (deletes.delete_count / files.record_count)::float
),

sums as (
    select
        shares.share,
        sum(shares.n_bytes) over (
            order by shares.share desc
        ) as n_bytes,
        row_number() over (
            order by shares.share desc
        ) as place,
        lead(shares.share) over (
            order by shares.share desc
        ) as next_share
    from shares
)

select coalesce((sums.share::double + sums.next_share) / 2, 0.0) as threshold
from sums
where sums.place = 1
    or sums.n_bytes <= $n_bytes
order by sums.share
limit 1
