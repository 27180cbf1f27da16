-- Every word of refused rows that may be the id of a person.
--
-- grain:   one row per word
-- reads:   raw.rejected
-- returns: user_id
select distinct
    unnest(
        list_concat(
            [refused.value],
            json_extract_string(try_cast(refused.row_json as json), '$.*'),
            string_split_regex(coalesce(refused.row_json, ''), '[^\w.@+:~-]+')
        )
    ) as user_id
from raw.rejected as refused
