-- The types of all events.
--
-- grain:   one row per type
-- reads:   raw.events
-- returns: event_type
select distinct events.event_type
from raw.events as events
order by events.event_type
