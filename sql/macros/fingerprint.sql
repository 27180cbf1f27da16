-- An aggregate that is equal for two lists with the same items at the same ranks up to a depth; the order of the rows does not matter.
create or replace temp macro fingerprint(rank, item_id, depth := 2147483647) as bit_xor(hash(concat(rank, ' ', item_id))) filter (
    where rank <= depth
)
