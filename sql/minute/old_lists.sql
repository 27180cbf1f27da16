-- Users with a history or a search whose list was made before a time, oldest list first. Those who have opted in again and have no
-- list yet come before them.
--
-- grain:   one row per user
-- params:  $older_than (timestamp, UTC), $n_most
-- reads:   recs.recommendations, features.user_histories, features.user_searches, ops.opt_outs, excluded (registered: user_id)
-- returns: user_id
with old as (
    select
        lists.user_id,
        lists.generated_at
    from recs.recommendations as lists
    where lists.rank = 1
        and lists.user_id <> '*'
        and lists.generated_at < $older_than
    union all
    select
        outs.user_id,
        null as generated_at
    from ops.opt_outs as outs
    where outs.opted_in_at is not null
        and outs.user_id not in (select lists.user_id from recs.recommendations as lists where lists.rank = 1)
)

select old.user_id
from old
where (
        old.user_id in (select histories.user_id from features.user_histories as histories)
        or old.user_id in (select searches.user_id from features.user_searches as searches)
    )
    and old.user_id not in (select excluded.user_id from excluded)
order by old.generated_at nulls first, old.user_id
limit $n_most
