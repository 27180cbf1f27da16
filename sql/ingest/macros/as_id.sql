-- Tidy text as an id. In a column with missing values, pandas writes the id 17850 as 17850.0. Words for missing values, such as null,
-- give null unless an option accepts them as ids.
create or replace temp macro as_id(text) as case
    when ends_with(text, '0') and contains(text, '.') then regexp_replace(text, '^(-?\d+)\.0+$', '\1')
    when not getvariable('null_words_as_ids') and regexp_full_match(
        text,
        '(?i)null|nil|none|[+-]?nan|nat|na|n/a|n\.a\.|#n/a( n/a)?|#na|<na>|<null>|<none>|<nil>|[(]null[)]|[(]none[)]|[(]not set[)]|\[null\]'
        || '|\\n|undefined|""|''''|\?|-+|[+-]?1\.#(ind|qnan)|#(null!|ref!|value!|div/0!|name\?|num!)'
    ) then null
    else text
end
