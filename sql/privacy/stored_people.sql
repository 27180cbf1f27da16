-- Every id of a person in a column of ids, and in refused rows whose user_id has a name of its own, as it has if ids are pseudonyms.
--
-- grain:   one row per id
-- reads:   raw.events, raw.user_aliases, raw.rejected, features.user_histories, features.user_searches, recs.recommendations,
--          recs.scenario_recommendations, recs.user_interests, recs.list_history, ops.served, ops.freshness, ops.opt_outs,
--          eval.outcomes
-- returns: user_id
select events.user_id from raw.events as events
union
select aliases.user_id from raw.user_aliases as aliases
union
select aliases.alias as user_id from raw.user_aliases as aliases
union
select json_extract_string(try_cast(refused.row_json as json), '$.user_id') as user_id from raw.rejected as refused
where coalesce(refused.kind, 'events') = 'events'
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
select past.user_id from recs.list_history as past
union
select served.user_id from ops.served as served
union
select waits.user_id from ops.freshness as waits
union
select outs.user_id from ops.opt_outs as outs
union
select outcomes.user_id from eval.outcomes as outcomes
