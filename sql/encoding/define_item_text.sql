-- The text of an item for the encoder: title, categories, tags, description. The description is last because long texts are cut
-- at the end. Null for an item without any text.
--
-- params: none; a temporary macro of the connection
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
