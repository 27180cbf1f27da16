-- Text vectors of the given items by one encoder.
--
-- grain:   one row per item with a vector
-- params:  $encoder (name and fingerprint)
-- reads:   wanted (registered: item_id), features.item_embeddings
-- returns: item_id, vector
select
    embeddings.item_id,
    embeddings.vector
from features.item_embeddings as embeddings
where embeddings.encoder = $encoder
    and embeddings.item_id in (select wanted.item_id from wanted)
order by embeddings.item_id
