-- Text vectors, cached: a text is encoded again only when it changes.
--
-- grain:   one row per item and encoder
create table features.item_embeddings (
    item_id varchar not null,
    encoder varchar not null,
    text_hash varchar not null,
    vector float[] not null,
    encoded_at timestamp not null
);
comment on table features.item_embeddings is 'The text vector of each item under each encoder';
comment on column features.item_embeddings.item_id is 'The item';
comment on column features.item_embeddings.encoder is 'Name and fingerprint of the encoder';
comment on column features.item_embeddings.text_hash is 'Hash of the text that was encoded';
comment on column features.item_embeddings.vector is 'Text vector of unit length';
comment on column features.item_embeddings.encoded_at is 'Time of encoding, UTC';
