-- Whether the graph has no node.
--
-- grain:   one row
-- reads:   graph.nodes
-- returns: is_empty
select not exists (from graph.nodes) as is_empty
