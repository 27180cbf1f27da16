-- An offending value as stored with its reason: the first 200 characters, without NUL bytes.
create or replace temp macro shown(text) as left(replace(text, chr(0), '\0'), 200)
