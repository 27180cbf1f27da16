-- The strongest items of each user in the audience of a touched item.
--
-- grain:   one row per user and item
-- params:  $n_items (per user)
-- reads:   audience (temporary: source, target), touched_users (temporary: user_id), fresh_acts (temporary: source, target, weight),
--          graph.edges
-- returns: the temporary table windows: source (user node), target (item node), weight
create or replace temp table windows as
with acts as (
    select
        fresh_acts.source,
        fresh_acts.target,
        fresh_acts.weight
    from fresh_acts
    where fresh_acts.source in (select audience.source from audience)
    union all
    select
        edges.source,
        edges.target,
        edges.weight
    from graph.edges as edges
    where edges.relation = 'acted_on'
        and edges.source in (select audience.source from audience)
        and edges.source not in (select 'user:' || touched_users.user_id from touched_users)
)

select
    acts.source,
    acts.target,
    acts.weight
from acts
qualify row_number() over (partition by acts.source order by round(log2(acts.weight), 6) desc, acts.target) <= $n_items
