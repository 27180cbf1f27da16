-- The rows of the files whose original text was kept, with their line numbers.
--
-- The line number of a staged row is its position among the well-formed rows, plus the number of malformed lines before it.
--
-- grain:   one row per staged row with row_json
-- reads:   staging.staged, staging.files, staging.malformed
create or replace temp table noted as
with placed as (
    select
        files.source,
        staged.file_no,
        staged.rowid as row_no,
        staged.rowid - files.first_row + 1 as place,
        coalesce(staged.rule, staged.flaw) as rule,
        coalesce(staged.reason, staged.flaw_reason) as reason,
        coalesce(staged.offending, staged.flaw_offending) as value,
        staged.rule is not null as is_row,
        staged.row_json
    from staging.staged
    inner join staging.files on staged.file_no = files.file_no
    where staged.row_json is not null
),

numbered as (
    select
        file_no,
        line,
        row_number() over (partition by file_no order by line) as n_before
    from staging.malformed
),

shifts as (
    select
        file_no,
        line - n_before + 1 as place,
        max(n_before) as n_before
    from numbered
    group by file_no, line - n_before + 1
)

select
    placed.source,
    placed.row_no,
    placed.place + coalesce(shifts.n_before, 0) as line,
    placed.rule,
    placed.reason,
    placed.value,
    placed.is_row,
    placed.row_json
from placed
asof left join shifts on placed.file_no = shifts.file_no and placed.place >= shifts.place
