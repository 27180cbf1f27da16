-- The place that each event has in its user's history by the file's own count, which the ingest kept as context.
--
-- grain:   one row per event that teaches something, in the order of users, then of time, then of the lake
-- params:  $event_types (varchar[]), $weights (double[]), $pointer (varchar, a JSON pointer into context)
-- reads:   raw.events
-- returns: position, null where it is no number
select try_cast(json_extract_string(e.context, $pointer) as double) as position
from raw.events as e
where e.item_id is not null
    and weight_of(e.event_type, $event_types, $weights) > 0
order by e.user_id, happened_at(e.occurred_at, e.received_at), e.rowid
