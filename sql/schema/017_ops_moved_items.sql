-- Items that are new, newly popular or have a new description, and their neighbours, until every affected list is refreshed.
--
-- grain:   one row per item; empty where no list waits
create table ops.moved_items (
    item_id varchar not null,
    snapshot bigint not null,
    moved_at timestamp not null
);
comment on table ops.moved_items is 'Changed items whose lists wait for a refresh; a minute that refreshes all of them empties the table';
comment on column ops.moved_items.item_id is 'The item';
comment on column ops.moved_items.snapshot is 'Lake snapshot in which the change was found; lists from older snapshots do not include it';
comment on column ops.moved_items.moved_at is
'Time when a minute run found the change, UTC; older lists are refreshed within a day in any case';
