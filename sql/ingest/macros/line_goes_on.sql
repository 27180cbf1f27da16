-- Whether a row is the repaired form of a line that could not be split: their letters and digits agree up to the end of the shorter one.
-- At least two values of the row must occur in the line; one is enough if the line had undecodable bytes, which are stored as ?.
create or replace temp macro line_goes_on(line, row_json) as list_extract(list_transform(
    [struct_pack(
        old := regexp_replace(line, '[^0-9A-Za-z?]', '', 'g'),
        texts := list_transform(
            json_extract_string(row_json, '$.*'), lambda text: regexp_replace(coalesce(text, ''), '[^0-9A-Za-z]', '', 'g')
        )
    )],
    lambda found: case
        when contains(found.old, '?') then
            list_bool_or(list_transform(found.texts, lambda text: text <> '' and contains(found.old, text)))
            and regexp_matches(array_to_string(found.texts, ''), '^' || regexp_replace(found.old, '\?+', '.*', 'g'))
        else
            len(list_filter(found.texts, lambda text: text <> '' and contains(found.old, text))) > 1
            and (
                starts_with(found.old, array_to_string(found.texts, ''))
                or starts_with(array_to_string(found.texts, ''), found.old)
            )
    end
), 1)
