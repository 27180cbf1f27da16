-- The commonest forms of ISO 8601, which DuckDB's own cast knows, as the local time; one with Z or +00 as the UTC time.
-- The cast ignores any other offset.
create or replace temp macro plain_time(text) as case
    when regexp_full_match(text, '\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|\+00)?)?') then try_cast(text as timestamp)
end
