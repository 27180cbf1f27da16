-- For listed items that no event explains: the label that the item shares with the user's last events and that says most about the user.
-- A label counts if at least a quarter of the distinct items of these events have it; a cluster, if it is also one of the user's interests.
-- Of several, the one that is on most of these items counts, weighted by its rarity; ties go to the first in order.
--
-- grain:   one row per listed item with such a label
-- params:  $n_recent (number of last events)
-- reads:   unexplained (registered: place, user_id, item_id), temp.reason_labels, features.user_histories, recs.user_interests
-- returns: place, label
with recent as (
    select distinct
        histories.user_id as user_id,
        unnest(list_slice(histories.item_ids, -$n_recent, -1)) as item_id
    from features.user_histories as histories
    where histories.user_id in (select unexplained.user_id from unexplained)
),

sizes as (
    select
        user_id,
        count(*) as n_items
    from recent
    group by user_id
),

held as (
    select distinct
        user_id,
        interest_id
    from recs.user_interests
    where user_id in (select unexplained.user_id from unexplained)
),

liked as (
    select
        recent.user_id as user_id,
        labels.label as label,
        labels.interest_id as interest_id,
        count(*) * any_value(labels.rarity) as strength
    from recent
    inner join reason_labels as labels on recent.item_id = labels.item_id
    inner join sizes on recent.user_id = sizes.user_id
    left join held
        on recent.user_id = held.user_id
            and labels.interest_id = held.interest_id
    where labels.interest_id is null or held.interest_id is not null
    group by recent.user_id, labels.label, labels.interest_id
    having count(*) >= any_value(sizes.n_items) / 4
)

select
    unexplained.place as place,
    arg_min(liked.label, (-liked.strength, liked.label)) as label
from unexplained
inner join reason_labels as labels on unexplained.item_id = labels.item_id
inner join liked
    on unexplained.user_id = liked.user_id
        and labels.label = liked.label
        and labels.interest_id is not distinct from liked.interest_id
group by unexplained.place
order by unexplained.place
