-- The newest searches, oldest first. Aliases count as their users.
--
-- grain:   one row per search
-- params:  $n_most
-- reads:   raw.events, raw.user_aliases
-- returns: user_id, query, occurred_at, time_s
with newest as (
    select
        coalesce(aliases.user_id, events.user_id) as user_id,
        events.query,
        happened_at(events.occurred_at, events.received_at) as occurred_at,
        events.rowid as lake_order
    from raw.events as events
    left join raw.user_aliases as aliases on events.user_id = aliases.alias
    where events.item_id is null
        and events.query is not null
    order by happened_at(events.occurred_at, events.received_at) desc, events.rowid desc
    limit $n_most
)

select
    newest.user_id as user_id,
    newest.query as query,
    newest.occurred_at as occurred_at,
    epoch(newest.occurred_at)::bigint as time_s
from newest
order by newest.occurred_at, newest.lake_order
