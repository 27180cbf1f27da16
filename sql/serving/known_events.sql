-- The events among the given ones that a snapshot of the lake contains.
--
-- grain:   one row per event
-- params:  $snapshot (lake snapshot)
-- reads:   pending (registered: event_id), raw.events
-- returns: event_id
select events.event_id
from raw.events as events at (version => $snapshot)
where events.event_id in (select pending.event_id from pending)
order by events.event_id
