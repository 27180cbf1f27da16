-- Lets the opt-outs of merged ids count for the people into whom they were merged.
--
-- reads:   merged (registered: alias, user_id)
-- writes:  ops.opt_outs
update ops.opt_outs
set user_id = merged.user_id
from merged
where ops.opt_outs.user_id = merged.alias
