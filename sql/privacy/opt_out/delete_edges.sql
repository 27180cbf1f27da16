-- Deletes the edges from and to people who opt out.
--
-- reads:   leaving (temporary: user_id)
-- writes:  graph.edges
delete from graph.edges
where source in (select 'user:' || leaving.user_id from leaving)
    or target in (select 'user:' || leaving.user_id from leaving)
