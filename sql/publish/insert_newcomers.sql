-- Gives users who came after the past lists were made the list for unknown users of that time.
--
-- grain:   one row per scenario and user
-- reads:   newest_lists (temporary: scenario, user_id), past_lists (temporary: as create_past_lists makes it), raw.user_aliases,
--          ops.opt_outs
-- writes:  past_lists
insert into past_lists
select anyone.* replace (newest.user_id as user_id)
from newest_lists as newest
inner join past_lists as anyone
    on newest.scenario = anyone.scenario
        and anyone.user_id = '*'
where (newest.scenario, newest.user_id) not in (select (past.scenario, past.user_id) from past_lists as past)
    and newest.user_id not in (select outs.user_id from ops.opt_outs as outs where outs.opted_in_at is null)
    and newest.user_id not in (select aliases.alias from raw.user_aliases as aliases)
