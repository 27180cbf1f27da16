-- The people who opt out or in, without their aliases.
--
-- grain:   one row per person
-- reads:   leaving (temporary: user_id, is_person)
-- returns: user_id
select leaving.user_id
from leaving
where leaving.is_person
