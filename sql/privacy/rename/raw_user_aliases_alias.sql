-- Puts the new ids of people into aliases.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  raw.user_aliases
update raw.user_aliases
set alias = renamed.new_id
from renamed
where raw.user_aliases.alias = renamed.old_id
