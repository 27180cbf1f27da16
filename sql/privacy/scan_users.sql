-- Every user and every merged id of the newest state.
--
-- grain:   one row per id
-- reads:   raw.events, raw.user_aliases
-- returns: id
select user_id as id
from raw.events
union
select alias as id
from raw.user_aliases
union
select user_id as id
from raw.user_aliases
