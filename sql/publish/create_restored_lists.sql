-- The past lists as they may be shown now: those that lost items are the mended ones.
--
-- grain:   one row per scenario and user
-- reads:   past_lists (temporary: as create_past_lists makes it), mended_lists (temporary: as create_mended_lists makes it)
-- returns: the temporary view restored_lists, with the columns of recs.list_history; a list may be empty
create or replace temp view restored_lists as
select *
from past_lists as past
where (past.scenario, past.user_id) not in (select (gone.scenario, gone.user_id) from mended_lists as gone)
union all by name
select *
from mended_lists
