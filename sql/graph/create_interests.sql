-- Interests of the touched users, by the more probable horizon. Interests without evidence, which come from what others do, are left out.
--
-- grain:   one row per user and interest
-- params:  $n_edges (interests per user)
-- reads:   touched_users (temporary: user_id), recs.user_interests
-- returns: the temporary table fresh_interests: source (user node), target (interest node), weight
create or replace temp table fresh_interests as
select
    'user:' || interests.user_id as source,
    'interest:' || interests.interest_id as target,
    max(interests.probability)::double as weight
from recs.user_interests as interests
where interests.user_id in (select touched_users.user_id from touched_users)
    and len(interests.evidence) > 0
group by interests.user_id, interests.interest_id
having max(interests.probability) > 0
qualify row_number() over (partition by interests.user_id order by max(interests.probability) desc, interests.interest_id) <= $n_edges
