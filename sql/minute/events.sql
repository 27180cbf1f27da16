-- Change feed of events: events with a weight above 0 that arrived after one snapshot and up to another, oldest first.
-- Aliases count as their users. Events that were deleted since, such as those of erased people, are left out.
--
-- grain:   one row per event
-- params:  $since (first snapshot to read), $learnt, $published, $until (snapshots), $event_types (varchar[]), $weights (double[])
-- reads:   raw.user_aliases
-- returns: user_id, item_id, event_type, occurred_at, time_s, weight, received_at, is_new (arrived after $published), trend (null)
with weighed as (
    select
        coalesce(aliases.user_id, feed.user_id) as user_id,
        feed.item_id,
        feed.event_type,
        happened_at(feed.occurred_at, feed.received_at) as occurred_at,
        feed.received_at,
        feed.snapshot_id as came_in,
        feed.rowid as lake_order,
        weight_of(feed.event_type, $event_types, $weights) as weight
    from ducklake_table_insertions('lake', 'raw', 'events', $since, $until) as feed
    left join raw.user_aliases as aliases on feed.user_id = aliases.alias
    anti join
        ducklake_table_deletions('lake', 'raw', 'events', $since, $until) as gone
        on feed.rowid = gone.rowid
    where feed.item_id is not null
        and feed.snapshot_id > $learnt
)

select
    user_id,
    item_id,
    event_type,
    occurred_at,
    epoch(occurred_at)::bigint as time_s,
    weight::float as weight,
    received_at,
    came_in > $published as is_new,
    null::float as trend
from weighed
where weighed.weight > 0
order by occurred_at, lake_order
