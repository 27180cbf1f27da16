-- The refused rows and values of one file, by line.
--
-- grain:   one row per refused row or value
-- params:  $source (varchar)
-- reads:   refused
-- returns: line, reason, value, row_json
select
    line,
    reason,
    value,
    row_json
from refused
where source = $source
order by line, reason
