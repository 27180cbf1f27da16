-- Note how long the users with new events had to wait for their list.
--
-- grain:   one row per user
-- params:  $publication_id, $generated_at (timestamp, UTC)
-- reads:   fresh (registered: user_id, received_at)
-- writes:  ops.freshness
insert into ops.freshness by name
select
    $publication_id as publication_id,
    fresh.user_id as user_id,
    max(fresh.received_at) as received_at,
    $generated_at as generated_at
from fresh
group by fresh.user_id
order by fresh.user_id
