-- The ids of the people to erase: the given ones and all ids that were merged with them.
--
-- grain:   one row per id
-- reads:   asked (registered: user_id), raw.user_aliases
create or replace temp table erasing as
with users as (
    select coalesce(aliases.user_id, asked.user_id) as user_id
    from asked
    left join raw.user_aliases as aliases on asked.user_id = aliases.alias
)

select users.user_id
from users
union
select aliases.alias as user_id
from raw.user_aliases as aliases
where aliases.user_id in (select users.user_id from users)
union
select asked.user_id
from asked
