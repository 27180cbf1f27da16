-- Deletes all nodes of the graph, before a night inserts new ones.
--
-- writes:  graph.nodes
delete from graph.nodes
