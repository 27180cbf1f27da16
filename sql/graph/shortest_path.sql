-- The shortest path between two nodes; of several, the one with the largest product of shares, which a random walk takes most likely.
-- Each step of the recursion reaches the nodes that are one edge further away. Only the ends of a path are users.
--
-- grain:   one row per edge of the path, in order; none if there is no path of at most $max_length edges
-- params:  $source, $target (nodes), $max_length
-- reads:   graph.edges, graph.nodes
-- returns: source, relation, target, source_name, target_name, share
with recursive reached(node, previous, relation, log_share, length) using key (node) as (
    select
        $source as node,
        null::varchar as previous,
        null::varchar as relation,
        0.0::double as log_share,
        0 as length
    union all
    select
        nearest.node,
        nearest.previous,
        nearest.relation,
        nearest.log_share,
        nearest.length
    from (
        select
            edges.target as node,
            edges.source as previous,
            edges.relation as relation,
            reached.log_share + log2(greatest(edges.share, 1e-300)) as log_share,
            reached.length + 1 as length
        from reached
        inner join graph.edges as edges
            on reached.node = edges.source
        where reached.length < $max_length
            and (edges.target = $target or (reached.length + 1 < $max_length and not starts_with(edges.target, 'user:')))
            and not exists (from recurring.reached as known where known.node = $target)
            and edges.target not in (select known.node from recurring.reached as known)
    ) as nearest
    qualify row_number() over (
        partition by nearest.node order by round(nearest.log_share, 6) desc, nearest.previous, nearest.relation
    ) = 1
),

way as (
    select
        reached.node,
        reached.previous,
        reached.relation,
        reached.length
    from reached
    where reached.node = $target
    union all
    select
        reached.node,
        reached.previous,
        reached.relation,
        reached.length
    from way
    inner join reached
        on way.previous = reached.node
)

select
    way.previous as source,
    way.relation,
    way.node as target,
    coalesce(sources.name, way.previous) as source_name,
    coalesce(targets.name, way.node) as target_name,
    edges.share
from way
inner join graph.edges as edges
    on way.previous = edges.source
        and way.node = edges.target
        and way.relation = edges.relation
left join graph.nodes as sources
    on way.previous = sources.node
left join graph.nodes as targets
    on way.node = targets.node
order by way.length
