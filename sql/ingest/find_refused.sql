-- Rows and values of the files that break a rule, with their line numbers.
--
-- grain:   one row per refused row or value
-- reads:   noted, staging.files, staging.malformed
create or replace temp table refused as
select
    source,
    line,
    rule,
    reason,
    value,
    is_row,
    row_json
from noted
where rule is not null
union all
select
    files.source,
    malformed.line,
    malformed.rule,
    malformed.reason,
    malformed.offending as value,
    true as is_row,
    malformed.row_json
from staging.malformed
inner join staging.files on malformed.file_no = files.file_no
