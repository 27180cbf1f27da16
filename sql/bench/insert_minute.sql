-- The clicks of one minute: some users click several times, and one click in fifty is on a new item.
--
-- grain:   one row per event
-- params:  $n_events, $n_users, $n_items
-- writes:  raw.events
insert into raw.events by name
select
    'm' || i as event_id,
    'user-' || (hash(i // 3 + 99) % $n_users) as user_id,
    case when i % 50 = 0 then 'new-' || (i // 50) else 'item-' || (hash(i + 5) % $n_items) end as item_id,
    'click' as event_type,
    timestamp '2026-11-20 00:00:00' + to_milliseconds(i * 60000 // $n_events) as occurred_at,
    timestamp '2026-11-20 00:01:00' as received_at
from range($n_events) as t (i)
