-- The histories of some users, as the live lists know them.
--
-- grain:   one row per user that has a history
-- params:  $user_ids (varchar[])
-- reads:   features.user_histories
-- returns: user_id, item_ids, event_types, occurred_at, earlier_item_ids
select
    user_id,
    item_ids,
    event_types,
    occurred_at,
    earlier_item_ids
from features.user_histories
where list_contains($user_ids, user_id)
order by user_id
