-- Items that some lists wait for: new, popular or newly described, or near such ones, while not every list that shows them was refreshed.
--
-- grain:   one row per item; empty where no list waits
create table ops.moved_items (
    item_id varchar not null,
    snapshot bigint not null,
    moved_at timestamp not null
);
comment on table ops.moved_items is
'Items for which lists of users who did nothing are still to be refreshed; a minute that finds room for all of them empties the table';
comment on column ops.moved_items.item_id is 'The item';
comment on column ops.moved_items.snapshot is 'The lake snapshot that showed the move: lists of older ones do not know it';
comment on column ops.moved_items.moved_at is 'When a minute found it, UTC; lists from before it are refreshed within a day in any case';
