-- The JSON pointer to a key.
create or replace temp macro json_step(key) as '/' || replace(replace(key, '~', '~0'), '/', '~1')
