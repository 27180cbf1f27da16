-- The last published search of the given users.
--
-- grain:   one row per user who has searched
-- params:  $encoder (name and fingerprint)
-- reads:   at_hand (registered: user_id), features.user_searches
-- returns: user_id, query, occurred_at, time_s, vector
select
    searches.user_id,
    searches.query,
    searches.occurred_at,
    epoch(searches.occurred_at)::bigint as time_s,
    searches.vector
from features.user_searches as searches
where searches.encoder = $encoder
    and searches.user_id in (select at_hand.user_id from at_hand)
order by searches.user_id
