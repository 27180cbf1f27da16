-- Inserts the last search of each of the given users.
--
-- grain:   one row per user
-- params:  $encoder (name and fingerprint), $updated_at (timestamp, UTC)
-- reads:   searched (registered: user_id, query, occurred_at, vector)
-- writes:  features.user_searches
insert into features.user_searches by name
select
    searched.user_id as user_id,
    searched.query as query,
    searched.occurred_at as occurred_at,
    searched.vector::float[] as vector,
    $encoder as encoder,
    $updated_at as updated_at
from searched
order by searched.user_id
