-- Users with a training event; the position of a user is their row number.
--
-- grain:   one row per user
-- params:  $event_types (varchar[]), $weights (double[])
-- reads:   raw.events
-- returns: user_id
select distinct e.user_id
from raw.events as e
where e.item_id is not null
    and weight_of(e.event_type, $event_types, $weights) > 0
order by e.user_id
