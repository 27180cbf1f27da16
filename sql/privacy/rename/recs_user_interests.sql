-- Puts the new ids of people into interests.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  recs.user_interests
update recs.user_interests
set user_id = renamed.new_id
from renamed
where recs.user_interests.user_id = renamed.old_id
