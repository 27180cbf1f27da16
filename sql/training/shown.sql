-- Impressions that brought no click, purchase or rating, oldest first.
--
-- grain:   one row per impression
-- reads:   eval.outcomes
-- returns: user_id, item_id, time_s
select
    user_id,
    item_id,
    epoch(shown_at)::bigint as time_s
from eval.outcomes
where clicked_at is null
    and bought_at is null
    and rating is null
order by shown_at, impression_id
