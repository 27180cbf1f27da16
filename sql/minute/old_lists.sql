-- Users with a history or a search whose list was made before a time, oldest list first.
--
-- grain:   one row per user
-- params:  $older_than (timestamp, UTC), $n_most
-- reads:   recs.recommendations, features.user_histories, features.user_searches, excluded (registered: user_id)
-- returns: user_id
select lists.user_id
from recs.recommendations as lists
where lists.rank = 1
    and lists.user_id <> '*'
    and lists.generated_at < $older_than
    and (
        lists.user_id in (select histories.user_id from features.user_histories as histories)
        or lists.user_id in (select searches.user_id from features.user_searches as searches)
    )
    and lists.user_id not in (select excluded.user_id from excluded)
order by lists.generated_at, lists.user_id
limit $n_most
