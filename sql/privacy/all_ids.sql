-- Every id of a person that a table of the lake names, except in refused rows.
--
-- grain:   one row per id
-- reads:   raw.events, raw.user_aliases, features.user_histories, features.user_searches, recs.recommendations,
--          recs.scenario_recommendations, recs.list_history, recs.user_interests, ops.served, ops.freshness
-- returns: user_id
select events.user_id from raw.events as events
union
select aliases.user_id from raw.user_aliases as aliases
union
select aliases.alias as user_id from raw.user_aliases as aliases
union
select histories.user_id from features.user_histories as histories
union
select searches.user_id from features.user_searches as searches
union
select lists.user_id from recs.recommendations as lists
union
select lists.user_id from recs.scenario_recommendations as lists
union
select past.user_id from recs.list_history as past
union
select interests.user_id from recs.user_interests as interests
union
select served.user_id from ops.served as served
where served.user_id is not null
union
select waits.user_id from ops.freshness as waits
