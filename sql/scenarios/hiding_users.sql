-- Change feed: users with events of some types between two snapshots, and with a history or a search, so that they have their own list.
--
-- grain:   one row per user
-- params:  $published, $until (snapshots), $event_types (varchar[])
-- reads:   features.user_histories, features.user_searches
-- returns: user_id
select distinct feed.user_id as user_id
from ducklake_table_insertions('lake', 'raw', 'events', least($published + 1, $until), $until) as feed
where feed.item_id is not null
    and feed.snapshot_id > $published
    and list_contains($event_types, feed.event_type)
    and (
        feed.user_id in (select histories.user_id from features.user_histories as histories)
        or feed.user_id in (select searches.user_id from features.user_searches as searches)
    )
order by feed.user_id
