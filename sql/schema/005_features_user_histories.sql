-- The last events of each user as arrays, oldest first: what scoring reads.
--
-- grain:   one row per user
create table features.user_histories (
    user_id varchar not null,
    item_ids varchar[] not null,
    event_types varchar[] not null,
    occurred_at timestamp[] not null,
    n_events bigint not null,
    updated_at timestamp not null
);
comment on table features.user_histories is 'The last events of each user as arrays, oldest first';
comment on column features.user_histories.user_id is 'The user';
comment on column features.user_histories.item_ids is 'Items of the last events, oldest first';
comment on column features.user_histories.event_types is 'Their event types, in the same order';
comment on column features.user_histories.occurred_at is 'Their times, in the same order, UTC';
comment on column features.user_histories.n_events is 'Number of all item events of the user, including those not kept here';
comment on column features.user_histories.updated_at is 'When this row was built, UTC';
