-- Categories and tags whose edges are built again: those that touched items have or had. Labels with very many items wait for the night.
--
-- grain:   one row per label
-- params:  $n_label_items (labels with more items are left out)
-- reads:   touched_items (temporary: node), labels (temporary: target), graph.edges, graph.nodes
-- returns: the temporary table touched_labels: node
create or replace temp table touched_labels as
select labels.target as node
from labels
where labels.target not in (select nodes.node from graph.nodes as nodes where nodes.degree > $n_label_items)
union
select edges.target as node
from graph.edges as edges
where edges.relation in ('in_category', 'has_tag')
    and edges.source in (select touched_items.node from touched_items)
    and edges.target not in (select nodes.node from graph.nodes as nodes where nodes.degree > $n_label_items)
