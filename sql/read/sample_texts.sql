-- The beginnings of some item texts, as the encoder reads them. The sample does not depend on the order of the table.
-- Items are sampled before their texts are built: building a million texts takes a quarter of a minute.
--
-- grain:   one row per item with text
-- params:  $n (number of items in the sample)
-- reads:   raw.items
-- returns: text
with chosen as (
    select
        title,
        description,
        categories,
        tags
    from raw.items
    order by hash(item_id), item_id
    limit $n
)

select left(item_text(title, description, categories, tags), 200) as text
from chosen
where item_text(title, description, categories, tags) is not null
