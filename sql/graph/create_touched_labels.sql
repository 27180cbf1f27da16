-- Categories, tags and interests whose edges are built again: those that touched items and users have or had, and new interests.
-- Those with very many items or users wait for the night.
--
-- grain:   one row per category, tag or interest
-- params:  $n_label_items (nodes of a higher degree are left out)
-- reads:   touched_items (temporary: node), touched_users (temporary: user_id), labels, fresh_interests (temporary: target),
--          graph.edges, graph.nodes, recs.interests
-- returns: the temporary table touched_labels: node
create or replace temp table touched_labels as
with touched as (
    select labels.target as node
    from labels
    union
    select fresh_interests.target as node
    from fresh_interests
    union
    select edges.target as node
    from graph.edges as edges
    where edges.relation in ('in_category', 'has_tag', 'about')
        and edges.source in (select touched_items.node from touched_items)
    union
    select edges.target as node
    from graph.edges as edges
    where edges.relation = 'interested_in'
        and edges.source in (select 'user:' || touched_users.user_id from touched_users)
    union
    select 'interest:' || interests.interest_id as node
    from recs.interests as interests
    where 'interest:' || interests.interest_id not in (select nodes.node from graph.nodes as nodes)
)

select touched.node
from touched
where touched.node not in (select nodes.node from graph.nodes as nodes where nodes.degree > $n_label_items)
