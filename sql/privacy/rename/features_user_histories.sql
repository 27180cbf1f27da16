-- Puts the new ids of people into histories.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  features.user_histories
update features.user_histories
set user_id = renamed.new_id
from renamed
where features.user_histories.user_id = renamed.old_id
