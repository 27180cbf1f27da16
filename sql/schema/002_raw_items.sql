-- The catalogue: items with their latest description.
--
-- grain:   one row per item
create table raw.items (
    item_id varchar not null,
    title varchar,
    description varchar,
    categories varchar[],
    tags varchar[],
    price double,
    is_available boolean not null,
    first_seen_at timestamp not null,
    updated_at timestamp not null
);
comment on table raw.items is 'The catalogue: one row per item, with its latest description';
comment on column raw.items.item_id is 'The item';
comment on column raw.items.title is 'Shown in every list';
comment on column raw.items.description is 'Longer text; read by the encoder together with title, categories and tags';
comment on column raw.items.categories is 'From broad to narrow, or in any order';
comment on column raw.items.tags is 'Free labels';
comment on column raw.items.price is 'In the currency of the source';
comment on column raw.items.is_available is 'False keeps the item out of every list';
comment on column raw.items.first_seen_at is 'Time of the first ingest of the item, UTC';
comment on column raw.items.updated_at is 'When its description last changed, UTC';
