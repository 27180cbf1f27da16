-- Inserts the restored lists of the scenarios besides default, by scenario, user and rank.
--
-- grain:   one row per scenario, user and rank
-- reads:   restored_lists (temporary: as create_restored_lists makes it)
-- writes:  recs.scenario_recommendations
insert into recs.scenario_recommendations by name
select restored.*
from restored_lists as restored
where restored.scenario <> 'default'
