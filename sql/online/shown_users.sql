-- The users to whom a list of their own was shown during an experiment.
--
-- grain:   one row per user
-- params:  $started_at, $stopped_at (timestamps, UTC; the second is null while it runs)
-- reads:   shown (temporary, as create_shown makes it)
-- returns: user_id
select distinct user_id
from shown
where shown_at >= $started_at
    and coalesce(shown_at < $stopped_at, true)
    and source <> 'popular'
order by user_id
