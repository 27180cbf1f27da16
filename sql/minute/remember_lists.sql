-- Stores a fingerprint of the top ranks of the given users' lists, before the lists are replaced.
--
-- grain:   one row per user
-- params:  $depth (ranks that count)
-- reads:   at_hand (registered: user_id), recs.recommendations
-- returns: the temporary table lists_before: user_id, fingerprint
create or replace temp table lists_before as
select
    lists.user_id as user_id,
    fingerprint(lists.rank, lists.item_id) as fingerprint
from recs.recommendations as lists
where lists.rank <= $depth
    and lists.user_id in (select at_hand.user_id from at_hand)
group by lists.user_id
