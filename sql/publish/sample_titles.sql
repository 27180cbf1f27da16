-- The titles of some items, to tell the language of the catalogue. The sample does not depend on the order of the table.
--
-- grain:   one row per item with a title
-- params:  $snapshot (lake snapshot), $n (number of items in the sample)
-- reads:   raw.items
-- returns: title
with chosen as (
    select items.title
    from raw.items as items at (version => $snapshot)
    order by hash(items.item_id), items.item_id
    limit $n
)

select chosen.title as title
from chosen
where chosen.title is not null
