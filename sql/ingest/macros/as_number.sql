-- Text as a number: 46.91, 46,91, 1.234,56 €, $1,234.56, 1 234,56. Null if the text is no number, or if the file does not decide the
-- decimal mark (1,234).
create or replace temp macro as_number(text, mark) as case
    when mark = 'comma' and regexp_full_match(text, '[+-]?\d{1,3}(?:\.\d{3})+') then try_cast(replace(text, '.', '') as double)
    when length(text) < 60 then coalesce(try_cast(text as double), list_extract(list_transform(
        [regexp_extract(
            text,
            '(?i)^([+-]?)\s*(?:[a-z]{2,3}\$|[a-z]{3}|\p{Sc}|kr\.?|zł|fr\.?)?[\s\p{Zs}]*([+-]?\d[\d.,\s\p{Zs}''’]*)(?:[-–]+)?\s*'
            || '(?:[a-z]{3}|\p{Sc}|kr\.?|zł|fr\.?|元|円|원)?$',
            ['sign', 'digits']
        )],
        lambda parts: as_bare_number(parts.sign || rtrim(regexp_replace(parts.digits, '[\s\p{Zs}''’]', '', 'g'), '.,'), mark)
    ), 1))
end
