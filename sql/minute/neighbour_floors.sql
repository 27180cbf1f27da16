-- The lowest similarity among the published neighbours of each item, and whether one of them is withdrawn.
--
-- grain:   one row per item with neighbours
-- reads:   recs.similar_items, withdrawn (registered: item_id)
-- returns: item_id, n_neighbours, floor (similarity of the last one), shows_withdrawn
select
    near.item_id as item_id,
    count(*) as n_neighbours,
    min(near.similarity) as floor,
    count(*) filter (where near.similar_item_id in (select withdrawn.item_id from withdrawn)) > 0 as shows_withdrawn
from recs.similar_items as near
group by near.item_id
order by near.item_id
