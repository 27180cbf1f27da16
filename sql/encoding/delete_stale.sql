-- Delete the vectors of items that have no text any more.
--
-- params:  $encoder (name and fingerprint)
-- reads:   raw.items
-- writes:  features.item_embeddings
delete from features.item_embeddings
where encoder = $encoder
    and item_id in (
        select items.item_id
        from raw.items as items
        where item_text(items.title, items.description, items.categories, items.tags) is null
    )
