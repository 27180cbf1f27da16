-- Stores a fingerprint of the top ranks of every user's list, before the lists are replaced.
--
-- grain:   one row per user
-- params:  $depth (ranks that count)
-- reads:   recs.recommendations
-- returns: the temporary table lists_before: user_id, fingerprint
create or replace temp table lists_before as
select
    user_id,
    fingerprint(rank, item_id) as fingerprint
from recs.recommendations
where rank <= $depth
    and user_id <> '*'
group by user_id
