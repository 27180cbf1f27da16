-- Puts the new ids of people into the lists of scenarios.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  recs.scenario_recommendations
update recs.scenario_recommendations
set user_id = renamed.new_id
from renamed
where recs.scenario_recommendations.user_id = renamed.old_id
