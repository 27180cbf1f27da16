-- Item counts for the encoder.
--
-- grain:   one row
-- params:  $encoder (name and fingerprint)
-- reads:   raw.items, features.item_embeddings
-- returns: n_items, n_without_text, n_stale: items that have a vector but no text any more
with texts as (
    select
        items.item_id as item_id,
        item_text(items.title, items.description, items.categories, items.tags) as text
    from raw.items as items
)

select
    count(*) as n_items,
    count(*) filter (where texts.text is null) as n_without_text,
    count(*) filter (where texts.text is null and embeddings.item_id is not null) as n_stale
from texts
left join features.item_embeddings as embeddings
    on texts.item_id = embeddings.item_id
        and embeddings.encoder = $encoder
