-- The position of each event in its user's history, as the file numbers it; the ingest kept this number in context.
--
-- grain:   one row per event with a weight above 0, ordered by user, then time, then position in the lake
-- params:  $event_types (varchar[]), $weights (double[]), $pointer (varchar, a JSON pointer into context)
-- reads:   raw.events, raw.user_aliases
-- returns: position (null if it is not a number)
select try_cast(json_extract_string(e.context, $pointer) as double) as position
from raw.events as e
left join raw.user_aliases as a on e.user_id = a.alias
where e.item_id is not null
    and weight_of(e.event_type, $event_types, $weights) > 0
order by coalesce(a.user_id, e.user_id), happened_at(e.occurred_at, e.received_at), e.rowid
