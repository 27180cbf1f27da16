-- Records how long users with new events waited for their list: since their newest event arrived, and since their newest live event.
-- An event is live if it arrived within an hour of happening; events loaded later say nothing about freshness.
--
-- grain:   one row per user
-- params:  $publication_id, $generated_at (timestamp, UTC)
-- reads:   fresh (registered: user_id, occurred_at, received_at)
-- writes:  ops.freshness
insert into ops.freshness by name
select
    $publication_id as publication_id,
    fresh.user_id as user_id,
    max(fresh.received_at) as received_at,
    max(fresh.occurred_at) filter (where fresh.received_at - fresh.occurred_at <= interval 1 hour) as occurred_at,
    $generated_at as generated_at
from fresh
group by fresh.user_id
order by fresh.user_id
