-- Items whose texts or labels name erased people by an id of 8 or more characters.
--
-- grain:   one row per item and id
-- reads:   erasing (temporary: user_id), raw.items
-- returns: item_id, user_id
with words as (
    select
        items.item_id,
        unnest(
            all_items(
                string_split_regex(concat_ws(' ', items.title, items.description), '[^\w.@+:~-]+'),
                list_concat(coalesce(items.categories, []), coalesce(items.tags, []))
            )
        ) as word
    from raw.items as items
)

select
    words.item_id,
    erasing.user_id
from words
inner join erasing on rtrim(words.word, '.:') = erasing.user_id
where length(erasing.user_id) >= 8
order by words.item_id, erasing.user_id
