-- Who has opted out of lists of their own.
--
-- grain:   one row per person
-- reads:   ops.opt_outs
-- returns: user_id
select distinct outs.user_id
from ops.opt_outs as outs
where outs.opted_in_at is null
