-- Change feed of searches: the last search of each user who searched between two snapshots.
-- Aliases count as their users. Searches that were deleted since are left out.
--
-- grain:   one row per user
-- params:  $published, $until (snapshots)
-- reads:   raw.user_aliases
-- returns: user_id, query, occurred_at, time_s
select
    coalesce(aliases.user_id, feed.user_id) as user_id,
    feed.query as query,
    happened_at(feed.occurred_at, feed.received_at) as occurred_at,
    epoch(happened_at(feed.occurred_at, feed.received_at))::bigint as time_s
from ducklake_table_insertions('lake', 'raw', 'events', least($published + 1, $until), $until) as feed
left join raw.user_aliases as aliases on feed.user_id = aliases.alias
anti join ducklake_table_deletions('lake', 'raw', 'events', least($published + 1, $until), $until) as gone on feed.rowid = gone.rowid
where feed.item_id is null
    and feed.query is not null
    and feed.snapshot_id > $published
qualify row_number() over (
    partition by coalesce(aliases.user_id, feed.user_id)
    order by happened_at(feed.occurred_at, feed.received_at) desc, feed.rowid desc
) = 1
order by coalesce(aliases.user_id, feed.user_id)
