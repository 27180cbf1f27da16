-- Deletes the nodes of people who opt out.
--
-- reads:   leaving (temporary: user_id)
-- writes:  graph.nodes
delete from graph.nodes
where node in (select 'user:' || leaving.user_id from leaving)
