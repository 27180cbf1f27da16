-- Every user with a history or with interests counts as touched, as in a night.
--
-- grain:   one row per user
-- reads:   features.user_histories, recs.user_interests
-- returns: the temporary table touched_users: user_id
create or replace temp table touched_users as
select histories.user_id
from features.user_histories as histories
union
select interests.user_id
from recs.user_interests as interests
where interests.user_id <> '*'
