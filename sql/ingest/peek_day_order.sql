-- How many of the first rows have a time with the year last.
--
-- reads:   first_rows
-- returns: n_rows
select count(*) as n_rows
from first_rows
where regexp_matches(occurred_at, '^\D*\d{1,2}[./-]\d{1,2}[./-]\d{4}')
