-- Users who have one of some items near the top of their list, or anywhere in it an item that is gone, oldest list first.
--
-- What is gone need not be among those items: lists that a minute before had no room for are found again.
--
-- grain:   one row per user with a history
-- params:  $depth (ranks that count), $n_most
-- reads:   recs.recommendations, raw.items, features.user_histories, excluded (registered: user_id), moved (registered: item_id)
-- returns: user_id
select lists.user_id
from recs.recommendations as lists
where lists.user_id <> '*'
    and (
        (lists.rank <= $depth and lists.item_id in (select moved.item_id from moved))
        or lists.item_id in (select items.item_id from raw.items as items where not items.is_available)
    )
    and lists.user_id in (select histories.user_id from features.user_histories as histories)
    and lists.user_id not in (select excluded.user_id from excluded)
group by lists.user_id
order by min(lists.generated_at), lists.user_id
limit $n_most
