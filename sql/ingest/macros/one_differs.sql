-- Whether two rows, as JSON objects, have the same columns, differ in exactly one column, and share a non-empty value.
create or replace temp macro one_differs(one, other) as
    json_keys(one) = json_keys(other)
    and len(list_filter(
        json_keys(one),
        lambda key: json_extract_string(one, json_step(key)) is distinct from json_extract_string(other, json_step(key))
    )) = 1
    and len(list_filter(
        json_keys(one),
        lambda key: tidy(json_extract_string(one, json_step(key))) = tidy(json_extract_string(other, json_step(key)))
    )) > 0
