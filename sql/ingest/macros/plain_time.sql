-- The most common forms of ISO 8601, read by DuckDB's own cast: a local time, or a UTC time with Z or +00.
-- Other offsets are excluded, because the cast ignores them.
create or replace temp macro plain_time(text) as case
    when regexp_full_match(text, '\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|\+00)?)?') then try_cast(text as timestamp)
end
