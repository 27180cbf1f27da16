-- Users with a training event; the position of a user is their row number. Aliases count as their users.
--
-- grain:   one row per user
-- params:  $event_types (varchar[]), $weights (double[])
-- reads:   raw.events, raw.user_aliases
-- returns: user_id
select distinct coalesce(a.user_id, e.user_id) as user_id
from raw.events as e
left join raw.user_aliases as a on e.user_id = a.alias
where e.item_id is not null
    and weight_of(e.event_type, $event_types, $weights) > 0
order by coalesce(a.user_id, e.user_id)
