-- Inserts the new items.
--
-- grain:   one row per item
-- reads:   incoming
-- writes:  raw.items
insert into raw.items by name
select
    item_id,
    title,
    description,
    categories,
    tags,
    price,
    is_available,
    now()::timestamp as first_seen_at,
    now()::timestamp as updated_at
from incoming
where is_new
order by row_no
