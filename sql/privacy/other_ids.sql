-- Ids of people that only refused rows or opt-outs name.
--
-- grain:   one row per id
-- reads:   raw.rejected, ops.opt_outs
-- returns: user_id
select json_extract_string(try_cast(refused.row_json as json), '$.user_id') as user_id
from raw.rejected as refused
where coalesce(refused.kind, 'events') = 'events'
union
select outs.user_id
from ops.opt_outs as outs
