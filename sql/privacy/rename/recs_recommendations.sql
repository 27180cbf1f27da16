-- Puts the new ids of people into lists.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  recs.recommendations
update recs.recommendations
set user_id = renamed.new_id
from renamed
where recs.recommendations.user_id = renamed.old_id
