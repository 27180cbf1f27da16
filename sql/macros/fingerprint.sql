-- An aggregate that is equal for two lists with the same items at the same ranks; the order of the rows does not matter.
create or replace temp macro fingerprint(rank, item_id) as bit_xor(hash(concat(rank, ' ', item_id)))
