-- Deletes moved items: all of them once no list is stale, otherwise those that have moved again.
--
-- params:  $is_settled
-- reads:   moved (registered: item_id)
-- writes:  ops.moved_items
delete from ops.moved_items
where $is_settled
    or item_id in (select moved.item_id from moved)
