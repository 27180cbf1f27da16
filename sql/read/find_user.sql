-- Whether a user has an event.
--
-- grain:   one row
-- params:  $user_id
-- reads:   raw.events
-- returns: is_known
select exists (from raw.events where user_id = $user_id) as is_known
