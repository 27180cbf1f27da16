-- The strongest edges of a node, those of each relation together, strongest first.
--
-- grain:   one row per edge
-- params:  $node, $k (edges per relation)
-- reads:   graph.current_edges, graph.nodes
-- returns: relation, node (at the other end), kind, name, weight (now), share, model_version, data_snapshot, generated_at
select
    edges.relation as relation,
    edges.target as node,
    nodes.kind as kind,
    nodes.name as name,
    edges.weight as weight,
    edges.share as share,
    edges.model_version as model_version,
    edges.data_snapshot as data_snapshot,
    edges.generated_at as generated_at
from graph.current_edges as edges
left join graph.nodes as nodes
    on edges.target = nodes.node
where edges.source = $node
qualify row_number() over (partition by edges.relation order by round(edges.share, 9) desc, edges.target) <= $k
order by edges.relation, round(edges.share, 9) desc, edges.target
