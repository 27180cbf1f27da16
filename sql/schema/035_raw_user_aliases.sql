-- Which ids are the same person: sessions and old ids that were merged into a user.
--
-- grain:   one row per alias
create table raw.user_aliases (
    alias varchar not null,
    user_id varchar not null,
    merged_at timestamp not null
);
comment on table raw.user_aliases is 'Ids that were merged into a user; raw.events keeps the id of each event as it came in';
comment on column raw.user_aliases.alias is 'The session or old id; everything it did counts for the user';
comment on column raw.user_aliases.user_id is 'The user; never an alias itself, as chains are resolved when a merge is written';
comment on column raw.user_aliases.merged_at is 'Time of the merge, UTC';
