-- Random clicks, spread evenly over the hundred days before 2026-11-20; the popularity of item n is proportional to 1 / (n + 50).
--
-- grain:   one row per event
-- params:  $n_events, $n_users, $n_items
-- writes:  raw.events
insert into raw.events by name
select
    'h' || i as event_id,
    'user-' || (hash(i) % $n_users) as user_id,
    'item-'
    || least(floor(50 * (pow(($n_items + 50) / 50.0, (hash(i + 7000000007) % 1000000) / 1e6) - 1)), $n_items - 1)::bigint as item_id,
    'click' as event_type,
    timestamp '2026-08-12 00:00:00' + to_microseconds((i * (8640000000000 / $n_events))::bigint) as occurred_at,
    timestamp '2026-11-20 00:00:00' as received_at
from range($n_events) as t (i)
