-- Puts the new ids of people into edges, as their target.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  graph.edges
update graph.edges
set target = 'user:' || renamed.new_id
from renamed
where graph.edges.target = 'user:' || renamed.old_id
