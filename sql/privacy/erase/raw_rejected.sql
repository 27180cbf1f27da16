-- Deletes refused rows that name erased people: as their user, as any value of the row, or as a word of a line that could not be split.
-- A short id may also be a number or the id of an item, so items and other fields count only for ids of 8 or more characters.
--
-- reads:   erasing (temporary: user_id), raw.rejected
-- writes:  raw.rejected
delete from raw.rejected
where rowid in (
        select words.row_no
        from (
            select
                refused.rowid as row_no,
                refused.kind,
                unnest(
                    all_items(
                        list_concat([refused.value], json_extract_string(try_cast(refused.row_json as json), '$.*')),
                        string_split_regex(coalesce(refused.row_json, ''), '[^\w.@+:~-]+')
                    )
                ) as word
            from raw.rejected as refused
        ) as words
        inner join erasing on words.word = erasing.user_id
        where words.kind is distinct from 'items'
            or length(erasing.user_id) >= 8
    )
