-- Text as JSON; null where it is none.
create or replace temp macro json_or_null(text) as case when json_valid(text) then text::json end
