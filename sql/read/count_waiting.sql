-- The numbers of item events that are not yet published and not yet learnt, from the change feed of raw.events after the watermarks.
--
-- grain:   one row
-- params:  $published, $learnt, $until (snapshots), $ignored_types (event types with weight 0, one per line)
-- returns: n_unpublished, n_unlearnt
select
    count(*) filter (where feed.snapshot_id > $published) as n_unpublished,
    count(*) filter (where feed.snapshot_id > $learnt) as n_unlearnt
from ducklake_table_insertions('lake', 'raw', 'events', least($learnt + 1, $until), $until) as feed
where feed.item_id is not null
    and not list_contains(string_split($ignored_types, chr(10)), feed.event_type)
