-- The items of two lists, sorted, each once; a null list counts as empty.
create or replace temp macro all_items(item_ids, more_item_ids) as coalesce(
    list_sort(list_distinct(list_concat(item_ids, more_item_ids))), []
)
