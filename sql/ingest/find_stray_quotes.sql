-- The number of lines with quotes that are not complete rows on their own.
--
-- params:  $whole (varchar, a pattern for complete rows)
-- reads:   source_rows, whose one column is the line
-- returns: n_lines
select count(*) as n_lines
from source_rows
where contains(c0, '"')
    and not regexp_full_match(c0, $whole)
