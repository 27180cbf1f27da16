-- Change feed: users with events of some types between two snapshots, and with a history or a search, so that they have their own list.
--
-- grain:   one row per user
-- params:  $published, $until (snapshots), $event_types (varchar[])
-- reads:   raw.user_aliases, features.user_histories, features.user_searches
-- returns: user_id
with hiding as (
    select distinct coalesce(aliases.user_id, feed.user_id) as user_id
    from ducklake_table_insertions('lake', 'raw', 'events', least($published + 1, $until), $until) as feed
    left join raw.user_aliases as aliases on feed.user_id = aliases.alias
    where feed.item_id is not null
        and feed.snapshot_id > $published
        and list_contains($event_types, feed.event_type)
)

select hiding.user_id
from hiding
where hiding.user_id in (select histories.user_id from features.user_histories as histories)
    or hiding.user_id in (select searches.user_id from features.user_searches as searches)
order by hiding.user_id
