-- The beginnings of the texts of some items, as the encoder reads them: the same items each time, whatever their order in the table.
-- They are chosen before their texts are put together, which for a million items would take a quarter of a minute.
--
-- grain:   one row per item with text
-- params:  $n (items that are looked at)
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
