-- Deletes the touched nodes, before new ones are inserted.
--
-- reads:   touched_users (temporary: user_id), touched_items (temporary: node), touched_labels (temporary: node)
-- writes:  graph.nodes
delete from graph.nodes
where node in (
        select 'user:' || touched_users.user_id from touched_users
        union all
        select touched_items.node from touched_items
        union all
        select touched_labels.node from touched_labels
    )
