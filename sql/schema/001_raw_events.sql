-- User events: the append-only source of truth.
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
comment on column raw.events.event_id is 'Unique id; hash of the row if the source gives none';
comment on column raw.events.user_id is 'The user';
comment on column raw.events.item_id is 'The item; null for a search';
comment on column raw.events.event_type is 'view, click, cart, purchase, rating, search, return, or any other name';
comment on column raw.events.value is 'Rating, quantity or amount; null if the event type has none';
comment on column raw.events.query is 'Search text; null for other events';
comment on column raw.events.occurred_at is 'Time of the event, UTC';
comment on column raw.events.received_at is 'Time of ingest into the lake, UTC';
comment on column raw.events.context is 'Further attributes as a JSON object';
