-- Puts the new ids of people into edges, as their source.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  graph.edges
update graph.edges
set source = 'user:' || renamed.new_id
from renamed
where graph.edges.source = 'user:' || renamed.old_id
