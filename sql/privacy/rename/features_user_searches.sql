-- Puts the new ids of people into the last searches.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  features.user_searches
update features.user_searches
set user_id = renamed.new_id
from renamed
where features.user_searches.user_id = renamed.old_id
