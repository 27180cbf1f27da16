-- When the history of a user's lists begins.
--
-- grain:   one row
-- params:  $user_id (* for the list for anyone), $scenario
-- reads:   recs.list_history
-- returns: published_at (null if there is none)
select min(published_at) as published_at
from recs.list_history
where user_id = $user_id
    and scenario = $scenario
