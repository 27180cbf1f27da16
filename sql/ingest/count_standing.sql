-- The number of refused rows of this kind that no later ingest has resolved.
--
-- params:  $kind (varchar)
-- reads:   raw.rejected
-- returns: n_rows
select count(*) as n_rows
from raw.rejected
where kind = $kind
