-- Stores fingerprints of the given users' lists, before the lists are replaced: of the top ranks, and of the whole list
-- with its slots.
--
-- grain:   one row per user
-- params:  $depth (top ranks)
-- reads:   at_hand (registered: user_id), recs.recommendations
-- returns: the temporary table lists_before: scenario, user_id, fingerprint, whole
create or replace temp table lists_before as
select
    'default' as scenario,
    lists.user_id as user_id,
    fingerprint(lists.rank, lists.item_id, depth := $depth) as fingerprint,
    fingerprint(lists.rank, concat(lists.item_id, nullif(lists.slot, 'ranked'))) as whole
from recs.recommendations as lists
where lists.user_id in (select at_hand.user_id from at_hand)
group by lists.user_id
