-- How many users have a history, so that a list can be made for them.
--
-- grain:   one row
-- reads:   features.user_histories
-- returns: n_users
select count(*) as n_users
from features.user_histories
