-- Deletes the merges of erased people.
--
-- reads:   erasing (temporary: user_id)
-- writes:  raw.user_aliases
delete from raw.user_aliases
where user_id in (select erasing.user_id from erasing)
    or alias in (select erasing.user_id from erasing)
