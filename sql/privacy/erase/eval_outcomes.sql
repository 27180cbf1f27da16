-- Deletes the impressions of erased people and what came of them.
--
-- reads:   erasing (temporary: user_id)
-- writes:  eval.outcomes
delete from eval.outcomes
where user_id in (select erasing.user_id from erasing)
