-- Forget what lists wait for: all of it, or what has moved again.
--
-- params:  $is_settled
-- reads:   moved (registered: item_id)
-- writes:  ops.moved_items
delete from ops.moved_items
where $is_settled
    or item_id in (select moved.item_id from moved)
