-- Rows and values of the files that break a rule, with the line each stands on.
--
-- A staged row's place among the well-formed rows is moved on by the malformed lines before it.
--
-- grain:   one row per refused row or value
-- reads:   staging.staged, staging.files, staging.malformed
create or replace temp table refused as
with broken as (
    select
        file_no,
        rowid as row_no,
        unnest([rule, flaw]) as rule,
        unnest([reason, flaw_reason]) as reason,
        unnest([rule is not null, false]) as is_row,
        row_json
    from staging.staged
    where rule is not null
        or flaw is not null
),

placed as (
    select
        files.source,
        broken.file_no,
        broken.row_no - files.first_row + 1 as place,
        broken.rule,
        broken.reason,
        broken.is_row,
        broken.row_json
    from broken
    inner join staging.files using (file_no)
    where broken.rule is not null
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
    placed.place + coalesce(shifts.n_before, 0) as line,
    placed.rule,
    placed.reason,
    placed.is_row,
    placed.row_json
from placed
asof left join shifts on placed.file_no = shifts.file_no and placed.place >= shifts.place
union all
select
    files.source,
    malformed.line,
    malformed.rule,
    malformed.reason,
    true as is_row,
    malformed.row_json
from staging.malformed
inner join staging.files using (file_no)
