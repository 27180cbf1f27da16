-- Items whose edges are built again: those given, and those whose edge to a touched user is new, gone or of another weight.
--
-- grain:   one row per item
-- reads:   touched_users (temporary: user_id), changed_items (temporary: item_id), fresh_acts (temporary: source, target, weight),
--          graph.edges
-- returns: the temporary table touched_items: node
create or replace temp table touched_items as
with before as (
    select
        edges.source,
        edges.target,
        edges.weight
    from graph.edges as edges
    where edges.relation = 'acted_on'
        and edges.source in (select 'user:' || touched_users.user_id from touched_users)
)

select coalesce(fresh_acts.target, before.target) as node
from fresh_acts
full join before
    on fresh_acts.source = before.source
        and fresh_acts.target = before.target
where fresh_acts.weight is null
    or before.weight is null
    or abs(fresh_acts.weight - before.weight) > 1e-9 * before.weight
union
select 'item:' || changed_items.item_id as node
from changed_items
