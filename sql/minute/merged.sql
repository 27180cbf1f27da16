-- Change feed of aliases: who was merged into whom after one snapshot and up to another, if they are still merged.
--
-- grain:   one row per alias
-- params:  $published, $until (snapshots)
-- reads:   raw.user_aliases
-- returns: alias, user_id
select
    feed.alias as alias,
    feed.user_id as user_id
from ducklake_table_insertions('lake', 'raw', 'user_aliases', least($published + 1, $until), $until) as feed
where feed.snapshot_id > $published
    and feed.alias in (select aliases.alias from raw.user_aliases as aliases)
qualify row_number() over (partition by feed.alias order by feed.snapshot_id desc, feed.rowid desc) = 1
order by feed.alias
