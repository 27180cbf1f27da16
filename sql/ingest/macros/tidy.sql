-- Text without surrounding blanks; null if nothing is left.
create or replace temp macro tidy(text) as nullif(trim(text, ' ' || chr(9) || chr(10) || chr(13) || chr(160)), '')
