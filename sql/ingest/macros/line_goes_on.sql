-- Whether a line that could not be split and a row say the same as far as the shorter of them goes, by letters and digits: the row is
-- what became of the line. Two fields at least have to agree.
create or replace temp macro line_goes_on(line, row_json) as list_extract(list_transform(
    [struct_pack(
        old := regexp_replace(line, '[^0-9A-Za-z]', '', 'g'),
        new := regexp_replace(array_to_string(json_extract_string(row_json, '$.*'), ''), '[^0-9A-Za-z]', '', 'g'),
        shared := len(list_filter(
            list_transform(json_extract_string(row_json, '$.*'), lambda text: regexp_replace(text, '[^0-9A-Za-z]', '', 'g')),
            lambda text: text <> '' and contains(regexp_replace(line, '[^0-9A-Za-z]', '', 'g'), text)
        ))
    )],
    lambda texts: texts.shared > 1 and (starts_with(texts.old, texts.new) or starts_with(texts.new, texts.old))
), 1)
