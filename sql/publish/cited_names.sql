-- What reasons call the cited items: the title, or the id of an item without one.
--
-- grain:   one row per cited item
-- params:  $snapshot (lake snapshot)
-- reads:   cited (registered: position, item_id), raw.items
-- returns: name, in the order of the positions
select coalesce(nullif(trim(items.title), ''), cited.item_id) as name
from cited
left join raw.items as items at (version => $snapshot)
    on cited.item_id = items.item_id
order by cited.position
