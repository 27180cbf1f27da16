-- Digits as a local time: 20240131, 202401311200, 20240131120000, 20240131120000123; null for other digits.
create or replace temp macro compact_time(text) as case
    when length(text) not in (8, 12, 14, 17) or not regexp_full_match(text, '(?:19|20)\d+') then null
    when length(text) = 8 then try_strptime(text, '%Y%m%d')
    when length(text) = 12 then try_strptime(text, '%Y%m%d%H%M')
    when length(text) = 14 then try_strptime(text, '%Y%m%d%H%M%S')
    else try_strptime(text, '%Y%m%d%H%M%S%g')
end
