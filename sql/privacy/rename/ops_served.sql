-- Puts the new ids of people into the lists that the API answered with.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  ops.served
update ops.served
set user_id = renamed.new_id
from renamed
where ops.served.user_id = renamed.old_id
