-- The number of first rows that have a time with the year last.
--
-- reads:   peeked
-- returns: n_rows
select count(*) as n_rows
from peeked
where regexp_matches(occurred_at, '^\D*\d{1,2}[./-]\d{1,2}[./-]\d{4}')
