-- The ids of the people who opt out or in: the given ones and all ids that were merged with them. is_person: not an alias.
--
-- grain:   one row per id
-- reads:   asked (registered: user_id), raw.user_aliases
create or replace temp table leaving as
with users as (
    select distinct coalesce(aliases.user_id, asked.user_id) as user_id
    from asked
    left join raw.user_aliases as aliases on asked.user_id = aliases.alias
)

select
    users.user_id,
    true as is_person
from users
union all
select
    aliases.alias as user_id,
    false as is_person
from raw.user_aliases as aliases
where aliases.user_id in (select users.user_id from users)
