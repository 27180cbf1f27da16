-- The last published search of the given users, or of their aliases.
--
-- grain:   one row per user who has searched
-- params:  $encoder (name and fingerprint)
-- reads:   at_hand (registered: user_id), raw.user_aliases, features.user_searches
-- returns: user_id, query, occurred_at, time_s, vector
with wanted as (
    select
        at_hand.user_id as user_id,
        at_hand.user_id as id
    from at_hand
    union all
    select
        aliases.user_id,
        aliases.alias as id
    from raw.user_aliases as aliases
    where aliases.user_id in (select at_hand.user_id from at_hand)
)

select
    wanted.user_id,
    searches.query,
    searches.occurred_at,
    epoch(searches.occurred_at)::bigint as time_s,
    searches.vector
from features.user_searches as searches
inner join wanted on searches.user_id = wanted.id
where searches.encoder = $encoder
qualify row_number() over (partition by wanted.user_id order by searches.occurred_at desc, searches.user_id) = 1
order by wanted.user_id
