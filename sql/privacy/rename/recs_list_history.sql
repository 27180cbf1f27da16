-- Puts the new ids of people into past lists.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  recs.list_history
update recs.list_history
set user_id = renamed.new_id
from renamed
where recs.list_history.user_id = renamed.old_id
