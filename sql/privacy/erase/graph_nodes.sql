-- Deletes the nodes of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  graph.nodes
delete from graph.nodes
where node in (select 'user:' || erasing.user_id from erasing)
