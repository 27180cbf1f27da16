-- The last published search of every user.
--
-- grain:   one row per user who has searched
-- params:  $encoder (name and fingerprint)
-- reads:   features.user_searches
-- returns: user_id, query, occurred_at, time_s, vector
select
    searches.user_id,
    searches.query,
    searches.occurred_at,
    epoch(searches.occurred_at)::bigint as time_s,
    searches.vector
from features.user_searches as searches
where searches.encoder = $encoder
order by searches.user_id
