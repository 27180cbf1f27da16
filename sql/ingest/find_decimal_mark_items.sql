-- The decimal mark in the column price: comma or dot; null if the values do not decide it.
--
-- reads:   mapped
-- returns: mark
with marks as (
    select
        coalesce(bool_or(regexp_matches(price, '\d,\d{1,2}\D*$') or regexp_matches(price, '\d\.\d{3},\d')), false) as has_comma,
        coalesce(bool_or(regexp_matches(price, '\d\.\d{1,2}\D*$') or regexp_matches(price, '\d,\d{3}\.\d')), false) as has_dot
    from mapped
)

select case
    when has_comma and not has_dot then 'comma'
    when has_dot and not has_comma then 'dot'
end as mark
from marks
