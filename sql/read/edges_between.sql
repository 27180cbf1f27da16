-- The edges between some nodes, each once, in its forward direction: all of one node, and the strongest of the others.
--
-- grain:   one row per edge
-- params:  $nodes (a JSON array), $node, $n_each (edges per source and relation)
-- reads:   graph.current_edges
-- returns: source, target, relation, weight (now), share
with chosen as (
    select unnest(from_json($nodes::json, '["varchar"]')) as node
),

strongest as (
    select
        edges.source,
        edges.target,
        edges.relation,
        edges.weight,
        edges.share
    from graph.current_edges as edges
    where edges.source in (select chosen.node from chosen)
        and edges.target in (select chosen.node from chosen)
        and edges.relation not in ('acted_on_by', 'has_item', 'child', 'interest_of')
    qualify $node in (edges.source, edges.target)
        or row_number() over (partition by edges.source, edges.relation order by round(edges.share, 9) desc, edges.target) <= $n_each
)

select
    source,
    target,
    relation,
    weight,
    share
from strongest
qualify relation <> 'seen_together'
    or row_number() over (
        partition by relation, least(source, target), greatest(source, target) order by round(share, 9) desc, source
    ) = 1
order by source, relation, target
