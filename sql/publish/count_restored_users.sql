-- Counts the users with a restored list, and those of them whose top ranks differ from their list before; a user without one counts.
--
-- grain:   one row
-- params:  $depth (ranks that count)
-- reads:   restored_lists (temporary: as create_restored_lists makes it), newest_lists (temporary: scenario, user_id, top)
-- returns: n_users, n_users_changed
select
    count(*) as n_users,
    count(*) filter (where newest.top is distinct from hash(list_slice(restored.item_ids, 1, $depth))) as n_users_changed
from restored_lists as restored
left join newest_lists as newest
    on restored.scenario = newest.scenario
        and restored.user_id = newest.user_id
where restored.scenario = 'default'
    and restored.user_id <> '*'
    and len(restored.item_ids) > 0
