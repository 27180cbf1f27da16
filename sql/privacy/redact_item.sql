-- Takes the id of an erased person out of the texts and labels of one item.
--
-- params:  $item_id, $user_id, $now (timestamp, UTC)
-- writes:  raw.items
update raw.items
set
    title = replace(title, $user_id, 'erased'),
    description = replace(description, $user_id, 'erased'),
    categories = list_filter(categories, lambda label: label <> $user_id),
    tags = list_filter(tags, lambda label: label <> $user_id),
    updated_at = $now
where item_id = $item_id
