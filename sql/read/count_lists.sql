-- The number of users with a list of their own.
--
-- grain:   one row
-- reads:   recs.recommendations
-- returns: n_users
select count(distinct user_id) as n_users
from recs.recommendations
where rank = 1
    and user_id <> '*'
