-- Every id of a person that a table of the lake names; of refused rows, every word that may be one.
--
-- grain:   one row per id
-- reads:   raw.events, raw.user_aliases, features.user_histories, features.user_searches, recs.recommendations,
--          recs.scenario_recommendations, recs.user_interests, recs.list_history, ops.served, ops.freshness, raw.rejected
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
select interests.user_id from recs.user_interests as interests
union
select served.user_id from ops.served as served
where served.user_id is not null
union
select waits.user_id from ops.freshness as waits
union
select past.user_id from recs.list_history as past
union
select
    unnest(
        list_concat(
            [refused.value],
            json_extract_string(try_cast(refused.row_json as json), '$.*'),
            string_split_regex(coalesce(refused.row_json, ''), '[^\w.@+:~-]+')
        )
    ) as user_id
from raw.rejected as refused
