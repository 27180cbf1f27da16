-- Deletes the interests of the given items, or of all.
--
-- params:  $is_all
-- reads:   described (registered: item_id)
-- writes:  recs.item_interests
delete from recs.item_interests
where $is_all
    or item_id in (select described.item_id from described)
