-- Texts that the encoder has not encoded yet: texts of new items, and changed texts of known items.
--
-- grain:   one row per item
-- params:  $encoder (name and fingerprint)
-- reads:   raw.items, features.item_embeddings
-- returns: item_id, text, text_hash
with texts as (
    select
        items.item_id as item_id,
        item_text(items.title, items.description, items.categories, items.tags) as text
    from raw.items as items
)

select
    texts.item_id as item_id,
    texts.text as text,
    md5(texts.text) as text_hash
from texts
left join features.item_embeddings as embeddings
    on texts.item_id = embeddings.item_id
        and embeddings.encoder = $encoder
        and embeddings.text_hash = md5(texts.text)
where texts.text is not null
    and embeddings.item_id is null
order by texts.item_id
