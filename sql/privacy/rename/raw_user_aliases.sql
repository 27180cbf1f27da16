-- Puts the new ids of people into the users of aliases.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  raw.user_aliases
update raw.user_aliases
set user_id = renamed.new_id
from renamed
where raw.user_aliases.user_id = renamed.old_id
