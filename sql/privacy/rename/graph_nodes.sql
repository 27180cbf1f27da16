-- Puts the new ids of people into the nodes of the graph.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  graph.nodes
update graph.nodes
set
    node = 'user:' || renamed.new_id,
    id = renamed.new_id,
    name = renamed.new_id
from renamed
where graph.nodes.node = 'user:' || renamed.old_id
