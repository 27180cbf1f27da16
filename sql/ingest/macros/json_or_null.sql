-- Text as JSON; null if it is not valid JSON.
create or replace temp macro json_or_null(text) as case when json_valid(text) then text::json end
