-- The rows of raw.rejected that the files settle: the same row is accepted now, is refused again with a new entry, or is corrected.
--
-- A file corrects refused rows of an earlier file with the same name under three conditions. On the same line, it has a row that differs
-- from the refused row in one column or only in column names, or that is the repaired form of a line that could not be split. This holds
-- for most lines with refused rows. All other rows of the file are already known. So the next day's file of the same name settles nothing.
--
-- grain:   one row per row of raw.rejected
-- params:  $kind (varchar)
-- reads:   raw.rejected, noted, known, refused, unnoted, staging.files, staging.malformed
create or replace temp table settled as
with lines as (
    select
        noted.source,
        parse_filename(noted.source) as name,
        noted.line,
        noted.row_json,
        known.row_no is not null as is_known
    from noted
    left join known on noted.row_no = known.row_no
    union all
    select
        files.source,
        parse_filename(files.source) as name,
        malformed.line,
        malformed.row_json,
        false as is_known
    from staging.malformed
    inner join staging.files on malformed.file_no = files.file_no
),

accepted as (
    select lines.*
    from lines
    anti join refused on lines.source = refused.source and lines.line = refused.line
),

standing as (
    select
        rowid as row_no,
        kind is not null as is_sure,
        parse_filename(source) as name,
        line,
        row_json
    from raw.rejected
    where coalesce(kind, $kind) = $kind
),

matched as (
    select
        lines.source,
        lines.line,
        standing.row_no,
        standing.is_sure,
        standing.row_json = lines.row_json as is_same,
        case when standing.row_json <> lines.row_json
            then
                coalesce(one_differs(standing.row_json, lines.row_json), false)
                or coalesce(line_goes_on(json_extract_string(standing.row_json, '$.line'), lines.row_json), false)
                or coalesce(json_extract_string(standing.row_json, '$.*') = json_extract_string(lines.row_json, '$.*'), false)
            else false
        end as is_corrected
    from lines
    inner join standing on lines.name = standing.name and lines.line = standing.line
),

judged_lines as (
    select
        source,
        line,
        bool_or(is_same or is_corrected) as is_explained
    from matched
    group by source, line
),

corrections as (
    select lines.source
    from lines
    left join judged_lines on lines.source = judged_lines.source and lines.line = judged_lines.line
    group by lines.source
    having bool_and(lines.is_known or judged_lines.source is not null)
        and count(*) filter (where judged_lines.is_explained) > count(*) filter (where not judged_lines.is_explained)
)

select standing.row_no
from standing
semi join accepted on standing.row_json = accepted.row_json
where standing.is_sure
union
select matched.row_no
from matched
semi join unnoted on matched.source = unnoted.source and matched.line = unnoted.line
where matched.is_same
union
select matched.row_no
from matched
semi join corrections on matched.source = corrections.source
semi join accepted on matched.source = accepted.source and matched.line = accepted.line
where matched.is_corrected
    and matched.is_sure
