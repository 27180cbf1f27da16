-- An id as text; pandas writes whole-number ids with gaps as 17850.0, which is the id 17850.
create or replace temp macro as_id(text) as case
    when ends_with(tidy(text), '0') and contains(text, '.') then regexp_replace(tidy(text), '^(-?\d+)\.0+$', '\1')
    else tidy(text)
end
