-- What users did: the one source of truth, only ever appended to.
--
-- grain:   one row per event
create table raw.events (
    event_id varchar not null,
    user_id varchar not null,
    item_id varchar,
    event_type varchar not null,
    value double,
    query varchar,
    occurred_at timestamp not null,
    received_at timestamp not null,
    context varchar
);
comment on table raw.events is 'What users did, one row per event; only ever appended to';
comment on column raw.events.event_id is 'Unique; the hash of the content where the source gave none';
comment on column raw.events.user_id is 'Who';
comment on column raw.events.item_id is 'With which item; null for a search';
comment on column raw.events.event_type is 'view, click, cart, purchase, rating, search, return, or any other name';
comment on column raw.events.value is 'The rating, the quantity or the amount; null where the type says it all';
comment on column raw.events.query is 'The words of a search; null otherwise';
comment on column raw.events.occurred_at is 'When it happened, UTC';
comment on column raw.events.received_at is 'When the lake took it in, UTC';
comment on column raw.events.context is 'Anything else, as a JSON object';
