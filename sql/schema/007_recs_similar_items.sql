-- Which items go with which.
--
-- grain:   one row per item and rank
create table recs.similar_items (
    item_id varchar not null,
    rank integer not null,
    similar_item_id varchar not null,
    similarity float not null,
    model_version varchar not null,
    data_snapshot bigint not null,
    generated_at timestamp not null
);
comment on table recs.similar_items is 'The nearest items of each item in the space of the model';
comment on column recs.similar_items.item_id is 'The item';
comment on column recs.similar_items.rank is '1 is the nearest';
comment on column recs.similar_items.similar_item_id is 'Its neighbour';
comment on column recs.similar_items.similarity is 'Cosine, -1 to 1';
comment on column recs.similar_items.model_version is 'Version of the registered model minutehand';
comment on column recs.similar_items.data_snapshot is 'The lake snapshot that was read';
comment on column recs.similar_items.generated_at is 'Time of scoring, UTC';
