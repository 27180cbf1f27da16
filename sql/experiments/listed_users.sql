-- The users with a published list.
--
-- grain:   one row per user
-- reads:   recs.recommendations
-- returns: user_id
select lists.user_id
from recs.recommendations as lists
where lists.rank = 1
    and lists.user_id <> '*'
order by lists.user_id
