-- Text as a date: 2024-1-31, 2024/01/31, 20240131, a week date, an ordinal date, a date with an English month, or one with the year last.
-- With the year last, day_first gives the order of day and month. Null if the text is no date.
create or replace temp macro calendar_date(text, day_first) as try(case
    when text is null then null
    when regexp_full_match(text, '\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}') then try_cast(replace(text, '/', '-') as date)
    when regexp_full_match(text, '\d{4}年\d{1,2}月\d{1,2}日') then try_cast(regexp_replace(text, '(\d+)\D(\d+)\D(\d+)\D', '\1-\2-\3') as date)
    when regexp_full_match(text, '\d{8}') then try_strptime(text, '%Y%m%d')::date
    when regexp_full_match(text, '(?i)\d{4}-?W\d\d-?\d') then case
        when right(text, 1)::integer between 1 and 7
            and isoyear(make_date(left(text, 4)::integer, 1, 4) + 7 * (regexp_extract(text, '(?i)W(\d\d)', 1)::integer - 1))
                = left(text, 4)::integer
            then date_trunc('week', make_date(left(text, 4)::integer, 1, 4))::date
                + 7 * (regexp_extract(text, '(?i)W(\d\d)', 1)::integer - 1) + right(text, 1)::integer - 1
    end
    when regexp_full_match(text, '\d{4}-?\d{3}') then case
        when year(make_date(left(text, 4)::integer, 1, 1) + right(text, 3)::integer - 1) = left(text, 4)::integer
            then make_date(left(text, 4)::integer, 1, 1) + right(text, 3)::integer - 1
    end
    when regexp_full_match(text, '\d{1,2}\D\d{1,2}\D\d{4}') then case
        when day_first then try_cast(regexp_replace(text, '(\d+)\D(\d+)\D(\d+)', '\3-\2-\1') as date)
        when not day_first then try_cast(regexp_replace(text, '(\d+)\D(\d+)\D(\d+)', '\3-\1-\2') as date)
    end
    else try_strptime(regexp_replace(text, '[.,/ -]+', ' ', 'g'), ['%d %b %Y', '%d %B %Y', '%b %d %Y', '%B %d %Y'])::date
end)
