-- The text vectors of one encoder.
--
-- grain:   one row per item
-- params:  $encoder (name and fingerprint)
-- reads:   features.item_embeddings
-- returns: item_id, vector
select
    item_id,
    vector
from features.item_embeddings
where encoder = $encoder
order by item_id
