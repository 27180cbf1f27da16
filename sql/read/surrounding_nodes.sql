-- The nodes around a node: the strongest neighbours by each relation, and the strongest neighbours of these. No other users further away.
--
-- grain:   one row per node, the nearest first
-- params:  $node, $n_near (neighbours per relation), $n_far (neighbours of a neighbour per relation), $n_most (nodes)
-- reads:   graph.edges, graph.nodes
-- returns: node, kind, name, degree, distance
with near as (
    select
        edges.target as node,
        1 as distance,
        edges.share as share
    from graph.edges as edges
    where edges.source = $node
    qualify row_number() over (partition by edges.relation order by round(edges.share, 9) desc, edges.target) <= $n_near
),

far as (
    select
        edges.target as node,
        2 as distance,
        near.share * edges.share as share
    from graph.edges as edges
    inner join near
        on edges.source = near.node
    where not starts_with(edges.target, 'user:')
    qualify row_number() over (partition by edges.source, edges.relation order by round(edges.share, 9) desc, edges.target) <= $n_far
),

reached as (
    select
        found.node,
        min(found.distance) as distance,
        max(found.share) as share
    from (
        select
            $node as node,
            0 as distance,
            1.0 as share
        union all
        select * from near
        union all
        select * from far
    ) as found
    group by found.node
)

select
    nodes.node as node,
    nodes.kind as kind,
    nodes.name as name,
    nodes.degree as degree,
    reached.distance as distance
from reached
inner join graph.nodes as nodes
    on reached.node = nodes.node
order by reached.distance, round(reached.share, 9) desc, nodes.node
limit $n_most
