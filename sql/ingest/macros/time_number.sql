-- A time that is written as a number; null for other texts. A separator after the year avoids the expensive try_cast.
create or replace temp macro time_number(text) as case
    when substr(text, 5, 1) in ('-', '/') then null
    else try_cast(text as double)
end
