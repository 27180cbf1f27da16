-- The segments of the API's log among the files, if the lake has taken in fewer lines of them.
--
-- grain:   one row per segment
-- params:  $segments (varchar[], by file_no; null for other files), $kind (varchar)
-- reads:   staging.staged, staging.malformed, ops.api_positions
-- returns: the temporary table fresh_positions: segment, kind, n_lines
create or replace temp table fresh_positions as
with counted as (
    select
        lines.file_no,
        count(*) as n_lines
    from (
        select staged.file_no from staging.staged
        union all
        select malformed.file_no from staging.malformed
    ) as lines
    group by lines.file_no
),

found as (
    select
        list_extract($segments::varchar[], counted.file_no + 1) as segment,
        max(counted.n_lines) as n_lines
    from counted
    group by list_extract($segments::varchar[], counted.file_no + 1)
)

select
    found.segment,
    $kind as kind,
    found.n_lines
from found
where found.segment is not null
    and not exists (
        select 1
        from ops.api_positions as positions
        where positions.segment = found.segment
            and positions.kind = $kind
            and positions.n_lines >= found.n_lines
    )
