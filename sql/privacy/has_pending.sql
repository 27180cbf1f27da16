-- Whether anything came in after a snapshot: events of people who are not being erased, items or merges.
--
-- grain:   one row
-- params:  $learnt, $until (snapshots)
-- reads:   erasing (temporary: user_id)
-- returns: has_pending
select
    (
        select count(*)
        from ducklake_table_insertions('lake', 'raw', 'events', least($learnt + 1, $until), $until) as events
        anti join
            ducklake_table_deletions('lake', 'raw', 'events', least($learnt + 1, $until), $until) as gone
            on events.rowid = gone.rowid
        where events.snapshot_id > $learnt
            and events.user_id not in (select erasing.user_id from erasing)
    ) + (
        select count(*)
        from ducklake_table_insertions('lake', 'raw', 'items', least($learnt + 1, $until), $until) as items
        where items.snapshot_id > $learnt
    ) + (
        select count(*)
        from ducklake_table_insertions('lake', 'raw', 'user_aliases', least($learnt + 1, $until), $until) as aliases
        where aliases.snapshot_id > $learnt
            and aliases.user_id not in (select erasing.user_id from erasing)
    ) > 0 as has_pending
