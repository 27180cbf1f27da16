-- What each user searched for last: lists follow it for a day.
--
-- grain:   one row per user
create table features.user_searches (
    user_id varchar not null,
    query varchar not null,
    occurred_at timestamp not null,
    vector float[] not null,
    encoder varchar not null,
    updated_at timestamp not null
);
comment on table features.user_searches is 'The last search of each user; their lists follow it for a day';
comment on column features.user_searches.user_id is 'The user';
comment on column features.user_searches.query is 'The search text';
comment on column features.user_searches.occurred_at is 'Time of the search, UTC';
comment on column features.user_searches.vector is 'Vector of the text, as encoded for items';
comment on column features.user_searches.encoder is 'Name and fingerprint of the encoder';
comment on column features.user_searches.updated_at is 'When this row was built, UTC';
