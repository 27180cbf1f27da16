-- Whether a user has a history or a list of their own.
--
-- grain:   one row
-- params:  $user_id
-- reads:   features.user_histories, recs.recommendations
-- returns: is_listed
select
    exists (from features.user_histories where user_id = $user_id)
    or exists (from recs.recommendations where user_id = $user_id) as is_listed
