-- The first rows of a file, once read: what they look like decides whether the whole file is asked how it writes times and numbers.
--
-- reads:   first_rows
create or replace temp table peeked as
select * exclude (row_json)
from first_rows
