-- Digits, separators and a sign as a number; null if a separator is misplaced, or if the file does not decide what it means.
create or replace temp macro as_bare_number(text, mark) as case
    when regexp_full_match(text, '[+-]?\d{1,3}(?:\.\d{3})+,\d+|[+-]?\d{1,3}(?:\.\d{3}){2,}')
        then try_cast(replace(replace(text, '.', ''), ',', '.') as double)
    when regexp_full_match(text, '[+-]?\d{1,3}(?:,\d{3})+\.\d+|[+-]?\d{1,3}(?:,\d{3}){2,}') then try_cast(replace(text, ',', '') as double)
    when regexp_full_match(text, '[+-]?[1-9]\d{0,2}[.,]\d{3}') then case
        when mark = 'dot' then try_cast(replace(text, ',', '') as double)
        when mark = 'comma' then try_cast(replace(replace(text, '.', ''), ',', '.') as double)
    end
    when regexp_full_match(text, '[+-]?\d+,\d+') then try_cast(replace(text, ',', '.') as double)
    when regexp_full_match(text, '[+-]?\d+(?:\.\d+)?') then try_cast(text as double)
end
