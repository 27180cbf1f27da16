-- The number of the key of the variable pseudonym_keys under which an id is a digest already; 0 for any other id.
create or replace temp macro key_number(user_id) as case
    when regexp_full_match(user_id, '[1-9][0-9]{0,8}-[0-9a-f]{32}')
        and list_contains(
            list_transform(getvariable('pseudonym_keys')::varchar[], lambda one: split_part(one, ':', 1)), split_part(user_id, '-', 1)
        )
        then try_cast(split_part(user_id, '-', 1) as integer)
    else 0
end
