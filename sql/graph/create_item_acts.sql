-- Who acted on the touched items: the touched users as they are now, all others as their edges say.
--
-- grain:   one row per user and item
-- reads:   touched_users (temporary: user_id), touched_items (temporary: node), fresh_acts (temporary: source, target, weight), graph.edges
-- returns: the temporary table item_acts: source (user node), target (item node), weight
create or replace temp table item_acts as
select
    fresh_acts.source,
    fresh_acts.target,
    fresh_acts.weight
from fresh_acts
where fresh_acts.target in (select touched_items.node from touched_items)
union all
select
    edges.source,
    edges.target,
    edges.weight
from graph.edges as edges
where edges.relation = 'acted_on'
    and edges.target in (select touched_items.node from touched_items)
    and edges.source not in (select 'user:' || touched_users.user_id from touched_users)
