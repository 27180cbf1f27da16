-- Puts the new ids of people into opt-outs.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  ops.opt_outs
update ops.opt_outs
set user_id = renamed.new_id
from renamed
where ops.opt_outs.user_id = renamed.old_id
