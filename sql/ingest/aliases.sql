-- The user of each alias, in the order of the merges.
--
-- grain:   one row per alias
-- reads:   raw.user_aliases
-- returns: alias, user_id
select
    aliases.alias,
    aliases.user_id
from raw.user_aliases as aliases
order by aliases.merged_at, aliases.alias
