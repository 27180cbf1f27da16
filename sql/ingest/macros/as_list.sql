-- Text as a list: a JSON array, parts between separators, or one part. Blank parts are dropped; null if no part is left.
create or replace temp macro as_list(text, separator) as nullif(
    list_filter(
        list_transform(
            case
                when text is null then []
                when starts_with(tidy(text), '[') and json_valid(text) then from_json(text, '["varchar"]')
                when separator is not null then string_split(text, separator::varchar)
                else [text]
            end,
            lambda part: tidy(replace(part, chr(0), ''))
        ),
        lambda part: part is not null
    ),
    []
)
