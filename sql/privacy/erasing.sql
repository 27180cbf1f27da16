-- The ids of the people to erase.
--
-- grain:   one row per id
-- reads:   erasing (temporary: user_id)
-- returns: user_id
select erasing.user_id
from erasing
order by erasing.user_id
