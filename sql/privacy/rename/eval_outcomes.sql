-- Puts the new ids of people into the outcomes of impressions.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  eval.outcomes
update eval.outcomes
set user_id = renamed.new_id
from renamed
where eval.outcomes.user_id = renamed.old_id
