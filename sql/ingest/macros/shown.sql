-- What a rule found, as it is kept beside the reason: its beginning, without NUL bytes.
create or replace temp macro shown(text) as left(replace(text, chr(0), '\0'), 200)
