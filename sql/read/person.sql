-- The user into whom an id was merged.
--
-- grain:   one row; none for an id that is not merged
-- params:  $alias
-- reads:   raw.user_aliases
-- returns: user_id
select aliases.user_id
from raw.user_aliases as aliases
where aliases.alias = $alias
