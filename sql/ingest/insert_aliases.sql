-- Inserts aliases with the users into whom they are merged.
--
-- grain:   one row per alias
-- reads:   merged (registered: alias, user_id, merged_at)
-- writes:  raw.user_aliases
insert into raw.user_aliases by name
select
    merged.alias as alias,
    merged.user_id as user_id,
    merged.merged_at as merged_at
from merged
order by merged.merged_at, merged.alias
