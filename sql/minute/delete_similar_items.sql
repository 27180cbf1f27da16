-- Deletes the neighbours of the given items, before new ones are inserted.
--
-- reads:   new_items (registered: item_id)
-- writes:  recs.similar_items
delete from recs.similar_items
where item_id in (select new_items.item_id from new_items)
