-- Counts the users who get a new list, and those of them whose top ranks differ from the old list; a user without an old list counts.
--
-- grain:   one row
-- params:  $depth (ranks that count)
-- reads:   lists (registered: user_id, rank, item_id), lists_before (temporary: scenario, user_id, fingerprint)
-- returns: n_users, n_users_changed
with lists_now as (
    select
        lists.user_id as user_id,
        fingerprint(lists.rank, lists.item_id) as fingerprint
    from lists
    where lists.rank <= $depth
        and lists.user_id <> '*'
    group by lists.user_id
)

select
    count(*) as n_users,
    count(*) filter (where lists_before.fingerprint is distinct from lists_now.fingerprint) as n_users_changed
from lists_now
left join lists_before
    on lists_now.user_id = lists_before.user_id
        and lists_before.scenario = 'default'
