-- How many lines have quotes and are no rows by themselves.
--
-- params:  $whole (varchar, a pattern of lines that are rows)
-- reads:   source_rows, whose one column is the line
-- returns: n_lines
select count(*) as n_lines
from source_rows
where contains(c0, '"')
    and not regexp_full_match(c0, $whole)
