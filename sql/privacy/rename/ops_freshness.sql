-- Puts the new ids of people into the delays of lists.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  ops.freshness
update ops.freshness
set user_id = renamed.new_id
from renamed
where ops.freshness.user_id = renamed.old_id
