-- Whether times with the year last have the day first; null unless exactly one order fits all of them.
--
-- reads:   mapped
-- returns: is_day_first
with places as (
    select
        regexp_extract(occurred_at, '^\D*(\d{1,2})[./-](\d{1,2})[./-]\d{4}', 1)::integer as first_number,
        regexp_extract(occurred_at, '^\D*(\d{1,2})[./-](\d{1,2})[./-]\d{4}', 2)::integer as second_number
    from mapped
    where regexp_matches(occurred_at, '^\D*\d{1,2}[./-]\d{1,2}[./-]\d{4}')
)

select case
    when max(first_number) > 12 and max(second_number) <= 12 then true
    when max(second_number) > 12 and max(first_number) <= 12 then false
end as is_day_first
from places
