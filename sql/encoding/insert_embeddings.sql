-- Store the fresh vectors.
--
-- grain:   one row per item and encoder
-- params:  $encoder (name and fingerprint), $encoded_at (timestamp, UTC)
-- reads:   fresh (registered: item_id, text_hash, vector)
-- writes:  features.item_embeddings
insert into features.item_embeddings (item_id, encoder, text_hash, vector, encoded_at)
select
    fresh.item_id as item_id,
    $encoder as encoder,
    fresh.text_hash as text_hash,
    fresh.vector::float[] as vector,
    $encoded_at as encoded_at
from fresh
order by fresh.item_id
