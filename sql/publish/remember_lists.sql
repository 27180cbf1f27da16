-- The top of every user's list before it is replaced.
--
-- grain:   one row per user
-- params:  $depth (ranks that count)
-- reads:   recs.recommendations
-- returns: the temporary table lists_before: user_id, item_ids
create or replace temp table lists_before as
select
    user_id,
    list(item_id order by rank) as item_ids
from recs.recommendations
where rank <= $depth
    and user_id <> '*'
group by user_id
