-- The rows of one delimited text file as text; malformed lines go to the table reject_errors.
--
-- grain:   one row per well-formed line
-- params:  variables path, delimiter, columns (a struct of column types), has_header, quote
create or replace temp view source_rows as
from read_csv(
    getvariable('path'),
    auto_detect = false,
    header = getvariable('has_header'),
    columns = getvariable('columns'),
    delim = getvariable('delimiter'),
    quote = getvariable('quote'),
    escape = getvariable('quote'),
    hive_partitioning = false,
    store_rejects = true,
    rejects_limit = 0
)
