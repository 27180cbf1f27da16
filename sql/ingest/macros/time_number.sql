-- A time that is written as a number; null where it is none. A sign behind the year saves the costly try.
create or replace temp macro time_number(text) as case
    when substr(text, 5, 1) in ('-', '/') then null
    else try_cast(text as double)
end
