-- Lets outcomes of merged ids count for the user.
--
-- reads:   raw.user_aliases
-- writes:  eval.outcomes
update eval.outcomes
set user_id = aliases.user_id
from raw.user_aliases as aliases
where eval.outcomes.user_id = aliases.alias
