-- Inserts the restored lists of the default scenario, by user and rank.
--
-- grain:   one row per user and rank
-- reads:   restored_lists (temporary: the columns of recs.scenario_recommendations)
-- writes:  recs.recommendations
insert into recs.recommendations by name
select restored.* exclude (scenario)
from restored_lists as restored
where restored.scenario = 'default'
