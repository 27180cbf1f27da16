-- The items of the touched labels, each with its own weight: what people act on now leads.
--
-- grain:   one row per label and item
-- reads:   touched_items (temporary: node), touched_labels (temporary: node), labels (temporary: source, target),
--          item_acts (temporary: target, weight), graph.edges, graph.nodes
-- returns: the temporary table label_items: source (label node), target (item node), weight
create or replace temp table label_items as
with fresh_weights as (
    select
        item_acts.target as node,
        sum(item_acts.weight) as weight
    from item_acts
    group by item_acts.target
)

select
    labels.target as source,
    labels.source as target,
    coalesce(fresh_weights.weight, 0) as weight
from labels
left join fresh_weights
    on labels.source = fresh_weights.node
where labels.target in (select touched_labels.node from touched_labels)
union all
select
    edges.target as source,
    edges.source as target,
    nodes.weight as weight
from graph.edges as edges
inner join graph.nodes as nodes
    on edges.source = nodes.node
where edges.relation in ('in_category', 'has_tag', 'about')
    and edges.target in (select touched_labels.node from touched_labels)
    and edges.source not in (select touched_items.node from touched_items)
