-- The last searches of users whose lists follow them.
--
-- grain:   one row per user
-- reads:   searching (registered: position, user_id), features.user_searches
-- returns: query (null for a user without one), in the order of the positions
select searches.query as query
from searching
left join features.user_searches as searches
    on searching.user_id = searches.user_id
order by searching.position
