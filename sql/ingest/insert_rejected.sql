-- Inserts the refused rows that raw.rejected does not contain yet.
--
-- grain:   one row per refused row or value
-- reads:   unnoted
-- writes:  raw.rejected
insert into raw.rejected by name
select
    *,
    now()::timestamp as rejected_at
from (
    select
        kind,
        source,
        line,
        reason,
        value,
        row_json
    from unnoted
)
order by source, line, reason
