-- The items described, or described anew, after one snapshot and up to another, as they were last: the change feed of the table of items.
--
-- grain:   one row per item
-- params:  $published, $until (snapshots)
-- returns: item_id, title, is_available
select
    feed.item_id as item_id,
    coalesce(feed.title, feed.item_id) as title,
    feed.is_available as is_available
from ducklake_table_insertions('lake', 'raw', 'items', least($published + 1, $until), $until) as feed
where feed.snapshot_id > $published
qualify row_number() over (partition by feed.item_id order by feed.snapshot_id desc, feed.rowid desc) = 1
order by feed.item_id
