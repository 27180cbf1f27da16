-- What the encoder reads of an item: title, categories, tags, description, in that order, since long texts are cut at
-- the end. Null where the item has no text at all.
--
-- params: none; a macro of the connection, gone when it closes
create or replace temp macro item_text(title, description, categories, tags) as nullif(
    concat_ws(
        '. ',
        nullif(rtrim(trim(title), '.'), ''),
        nullif(trim(list_aggregate(list_filter(categories, lambda word: trim(word) <> ''), 'string_agg', ', ')), ''),
        nullif(trim(list_aggregate(list_filter(tags, lambda word: trim(word) <> ''), 'string_agg', ', ')), ''),
        nullif(trim(description), '')
    ),
    ''
)
