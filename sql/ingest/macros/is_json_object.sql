-- Whether text is a JSON object.
create or replace temp macro is_json_object(text) as coalesce(json_valid(text) and json_type(json_or_null(text)) = 'OBJECT', false)
