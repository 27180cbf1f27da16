-- Whether text is a JSON object or array, which cannot be an id.
create or replace temp macro is_nested(text) as case
    when starts_with(text, '{') or starts_with(text, '[') then json_valid(text)
    else false
end
