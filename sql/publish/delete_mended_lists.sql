-- Deletes the past lists that mended ones replace.
--
-- reads:   mended_lists (temporary: scenario, user_id)
-- writes:  past_lists (temporary: as create_past_lists makes it)
delete from past_lists
where (past_lists.scenario, past_lists.user_id) in (select (mended.scenario, mended.user_id) from mended_lists as mended)
