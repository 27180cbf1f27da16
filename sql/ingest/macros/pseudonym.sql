-- The digest of an id under the keys of the variable pseudonym_keys, each as number:outer:inner; without keys, the id itself.
-- A digest under one of the keys stands for the id that it was made of, so only the later keys apply to it.
create or replace temp macro pseudonym(user_id) as case -- noqa: PRS
    when getvariable('pseudonym_keys') is null then user_id
    else list_reduce(
        list_prepend(
            user_id,
            list_filter(
                getvariable('pseudonym_keys')::varchar[], lambda one: try_cast(split_part(one, ':', 1) as integer) > key_number(user_id)
            )
        ),
        lambda digest, one: split_part(one, ':', 1) || '-' || hmac(split_part(one, ':', 2), split_part(one, ':', 3), digest)
    )
end
