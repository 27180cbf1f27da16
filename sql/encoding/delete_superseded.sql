-- Delete the vectors that fresh vectors replace.
--
-- params:  $encoder (name and fingerprint)
-- reads:   fresh (registered: item_id, text_hash, vector)
-- writes:  features.item_embeddings
delete from features.item_embeddings
where encoder = $encoder
    and item_id in (select fresh.item_id from fresh)
