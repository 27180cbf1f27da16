-- The ids that stand for the same person as one of the given ids.
--
-- grain:   one row per id
-- params:  $ids (varchar[])
-- reads:   raw.user_aliases
-- returns: id
with people as (
    select user_id
    from raw.user_aliases
    where alias in (select unnest($ids))
        or user_id in (select unnest($ids))
)

select user_id as id
from people
union
select aliases.alias as id
from raw.user_aliases as aliases
inner join people
    on aliases.user_id = people.user_id
order by id
