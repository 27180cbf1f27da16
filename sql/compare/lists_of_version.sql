-- The lists that were live with a version: those that every user had after its last publication, without the new
-- items that were drawn.
--
-- grain:   one row per user with a list
-- params:  $version, $n_users
-- reads:   recs.publications, recs.list_history
-- returns: user_id, item_ids (best first)
with last as (
    select max(published_at) as published_at
    from recs.publications
    where model_version = $version
),

lists as (
    select
        past.user_id,
        arg_max(past.item_ids, past.published_at) as item_ids,
        arg_max(past.slots, past.published_at) as slots
    from recs.list_history as past
    inner join last
        on past.published_at <= last.published_at
    where past.scenario = 'default'
        and past.user_id <> '*'
    group by past.user_id
)

select
    lists.user_id as user_id,
    list_select(
        lists.item_ids,
        list_filter(range(1, len(lists.item_ids) + 1), lambda place: coalesce(lists.slots[place], 'ranked') = 'ranked')
    ) as item_ids
from lists
where len(lists.item_ids) > 0
order by hash(lists.user_id), lists.user_id
limit $n_users
