-- Deletes all edges of the graph, before a night inserts new ones.
--
-- writes:  graph.edges
delete from graph.edges
