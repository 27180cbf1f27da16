-- Who has the touched interests: the touched users as they are now, all others as their edges say.
--
-- grain:   one row per interest and user
-- reads:   touched_users (temporary: user_id), touched_labels (temporary: node), fresh_interests (temporary: source, target, weight),
--          graph.edges
-- returns: the temporary table people: source (interest node), target (user node), weight
create or replace temp table people as
select
    fresh_interests.target as source,
    fresh_interests.source as target,
    fresh_interests.weight
from fresh_interests
where fresh_interests.target in (select touched_labels.node from touched_labels)
union all
select
    edges.target as source,
    edges.source as target,
    edges.weight
from graph.edges as edges
where edges.relation = 'interested_in'
    and edges.target in (select touched_labels.node from touched_labels)
    and edges.source not in (select 'user:' || touched_users.user_id from touched_users)
