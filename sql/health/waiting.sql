-- Seconds that the oldest event has waited that is in no list yet, from the change feed of raw.events after the watermark.
--
-- grain:   one row, or none before the first publish
-- params:  $now (timestamp, UTC), $published, $until (snapshots), $ignored_types (event types with weight 0, one per line)
-- returns: waiting_s (0 if no event waits)
select greatest(coalesce(epoch($now::timestamp - min(feed.received_at)), 0), 0) as waiting_s
from ducklake_table_insertions('lake', 'raw', 'events', least($published + 1, $until), $until) as feed
where feed.snapshot_id > $published
    and feed.item_id is not null
    and not list_contains(string_split($ignored_types, chr(10)), feed.event_type)
