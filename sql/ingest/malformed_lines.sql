-- The texts of the lines that could not be split.
--
-- grain:   one row per line
-- reads:   malformed
-- returns: line, file_no, row_json
select
    malformed.line,
    malformed.file_no,
    malformed.row_json
from malformed
where malformed.row_json is not null
