-- The best items of every published list of the default scenario.
--
-- grain:   one row per list and rank
-- params:  $k
-- reads:   recs.recommendations
-- returns: user_id (* for the list for anyone), rank, item_id
select
    user_id,
    rank,
    item_id
from recs.recommendations
where rank <= $k
order by user_id, rank
