-- An aggregate that is the same for two lists with the same items in the same ranks, whatever the order of the rows.
create or replace temp macro fingerprint(rank, item_id) as bit_xor(hash(concat(rank, ' ', item_id)))
