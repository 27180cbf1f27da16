-- A node of the graph.
--
-- grain:   one row, or none
-- params:  $node
-- reads:   graph.nodes
-- returns: node, kind, id, name, weight, degree, model_version, data_snapshot, generated_at
select
    node,
    kind,
    id,
    name,
    weight,
    degree,
    model_version,
    data_snapshot,
    generated_at
from graph.nodes
where node = $node
