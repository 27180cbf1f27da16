-- Change feed of items: the newest state of each item that was added or changed after one snapshot and up to another.
--
-- grain:   one row per item
-- params:  $since (first snapshot to read), $learnt, $published, $until (snapshots)
-- returns: item_id, title, is_available, is_new (arrived after $published)
select
    feed.item_id as item_id,
    coalesce(feed.title, feed.item_id) as title,
    feed.is_available as is_available,
    feed.snapshot_id > $published as is_new
from ducklake_table_insertions('lake', 'raw', 'items', $since, $until) as feed
where feed.snapshot_id > $learnt
qualify row_number() over (partition by feed.item_id order by feed.snapshot_id desc, feed.rowid desc) = 1
order by feed.item_id
