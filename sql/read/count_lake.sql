-- Counts of the lake's contents, and the times of its newest event.
--
-- grain:   one row
-- reads:   raw.events, raw.items, raw.rejected, features.item_embeddings
-- returns: n_events, n_users, happened_at, arrived_at (the newest of each), n_items, n_rejected, n_embeddings
select
    count(*) as n_events,
    count(distinct user_id) as n_users,
    max(happened_at(occurred_at, received_at)) as happened_at,
    max(received_at) as arrived_at,
    (select count(*) from raw.items) as n_items,
    (select count(*) from raw.rejected) as n_rejected,
    (select count(*) from features.item_embeddings) as n_embeddings
from raw.events
