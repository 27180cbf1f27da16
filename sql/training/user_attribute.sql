-- An attribute of users: its newest value in the context of their events. Aliases count as their users; users without a value are left out.
--
-- grain:   one row per user
-- params:  $pointer (varchar, a JSON pointer into context)
-- reads:   raw.events, raw.user_aliases
-- returns: user_id, attribute
select
    coalesce(a.user_id, e.user_id) as user_id,
    max_by(
        json_extract_string(e.context, $pointer), (happened_at(e.occurred_at, e.received_at), e.event_id)
    ) as attribute
from raw.events as e
left join raw.user_aliases as a on e.user_id = a.alias
where json_extract_string(e.context, $pointer) is not null
group by coalesce(a.user_id, e.user_id)
order by coalesce(a.user_id, e.user_id)
