-- Items that a user may have meant: the text occurs in the title, or the id has a similar spelling.
--
-- grain:   one row per item
-- params:  $text, $n
-- reads:   raw.items, recs.similar_items
-- returns: item_id, title
with known as (
    select item_id
    from raw.items
    union
    select item_id
    from recs.similar_items
)

select
    known.item_id as item_id,
    items.title as title
from known
left join raw.items as items
    on known.item_id = items.item_id
where contains(lower(items.title), lower($text))
    or jaro_winkler_similarity(lower(known.item_id), lower($text)) > 0.7
order by
    contains(lower(coalesce(items.title, '')), lower($text)) desc,
    jaro_winkler_similarity(lower(known.item_id), lower($text)) desc,
    known.item_id
limit $n
