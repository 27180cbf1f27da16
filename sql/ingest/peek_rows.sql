-- The first rows of a file, read once: they decide whether the whole file is scanned for its format of times and numbers.
--
-- reads:   first_rows
create or replace temp table peeked as
select * exclude (row_json)
from first_rows
