-- Inserts the restored lists of the default scenario, by user and rank.
--
-- grain:   one row per user and rank
-- reads:   restored_lists (temporary: as create_restored_lists makes it)
-- writes:  recs.recommendations
insert into recs.recommendations by name
select restored.* exclude (scenario)
from restored_lists as restored
where restored.scenario = 'default'
