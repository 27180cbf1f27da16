-- The users of the staged rows.
--
-- grain:   one row per user
-- returns: user_id
select distinct staged.user_id
from staged
where staged.user_id is not null
