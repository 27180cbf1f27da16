-- Change feed of aliases: who was merged into whom after one snapshot and up to another, unless the row was deleted since.
--
-- grain:   one row per alias
-- params:  $published, $until (snapshots)
-- returns: alias, user_id
select
    feed.alias as alias,
    feed.user_id as user_id
from ducklake_table_insertions('lake', 'raw', 'user_aliases', least($published + 1, $until), $until) as feed
anti join ducklake_table_deletions('lake', 'raw', 'user_aliases', least($published + 1, $until), $until) as gone on feed.rowid = gone.rowid
where feed.snapshot_id > $published
qualify row_number() over (partition by feed.alias order by feed.snapshot_id desc, feed.rowid desc) = 1
order by feed.alias
