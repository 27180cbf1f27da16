-- Puts the new ids of people into refused rows of events, whose user_id has a name of its own if ids are pseudonyms.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  raw.rejected
update raw.rejected
set row_json = replace(row_json, renamed.old_id, renamed.new_id)
from renamed
where json_extract_string(try_cast(raw.rejected.row_json as json), '$.user_id') = renamed.old_id
