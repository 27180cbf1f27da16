-- Reason texts: one phrase per catalog row, for recommendations that follow from that item in a user's history.
--
-- grain:   one row per catalog row
-- params:  $snapshot (lake snapshot)
-- reads:   catalog (registered: position, item_id), raw.items
-- returns: reason, in the order of the catalog
select 'because of ' || coalesce(nullif(trim(items.title), ''), catalog.item_id) as reason
from catalog
left join raw.items as items at (version => $snapshot)
    on catalog.item_id = items.item_id
order by catalog.position
