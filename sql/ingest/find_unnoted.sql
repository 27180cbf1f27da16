-- The refused rows that raw.rejected does not contain yet; nulls count as equal.
--
-- grain:   one row per refused row or value
-- params:  $kind (varchar)
-- reads:   refused, raw.rejected
create or replace temp table unnoted as
select
    $kind as kind,
    source,
    line,
    reason,
    value,
    row_json
from refused
except
select
    kind,
    source,
    line,
    reason,
    value,
    row_json
from raw.rejected
where source in (select refused.source from refused)
