-- How long users waited for a list that knows what they just did.
--
-- grain:   one row per publish and user with new events in it
create table ops.freshness (
    publication_id varchar not null,
    user_id varchar not null,
    received_at timestamp not null,
    generated_at timestamp not null
);
comment on table ops.freshness is 'From the newest event of a user to the list that knows it, per publish and user with new events';
comment on column ops.freshness.publication_id is 'The row of recs.publications';
comment on column ops.freshness.user_id is 'The user';
comment on column ops.freshness.received_at is 'When the lake took in the newest event of the user, UTC';
comment on column ops.freshness.generated_at is 'Time of scoring, UTC';
