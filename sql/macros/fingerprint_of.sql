-- The fingerprint of a list that is given as the array of its items, best first: the value that fingerprint has for its rows.
create or replace temp macro fingerprint_of(item_ids) as coalesce(
    list_aggregate(list_transform(item_ids, lambda item_id, rank: hash(concat(rank, ' ', item_id))), 'bit_xor'), 0
)
