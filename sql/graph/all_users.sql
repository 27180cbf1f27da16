-- Every user with a history counts as touched, as in a night.
--
-- grain:   one row per user
-- reads:   features.user_histories
-- returns: the temporary table touched_users: user_id
create or replace temp table touched_users as
select user_id
from features.user_histories
