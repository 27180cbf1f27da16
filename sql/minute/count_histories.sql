-- Counts the users with a history; each of them can get a list.
--
-- grain:   one row
-- reads:   features.user_histories
-- returns: n_users
select count(*) as n_users
from features.user_histories
