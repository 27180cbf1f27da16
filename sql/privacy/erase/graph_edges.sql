-- Deletes the edges from and to erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  graph.edges
delete from graph.edges
where source in (select 'user:' || erasing.user_id from erasing)
    or target in (select 'user:' || erasing.user_id from erasing)
