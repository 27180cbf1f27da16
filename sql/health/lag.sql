-- Seconds from the arrival of an event to the list that includes it, in the last hour, with a band from the 28 days before.
--
-- The value is the larger of two: what 95 % of the users with new lists waited at most, and how long the oldest event has waited that is
-- in no list yet. The band ends $width times above what 99 % of the hours had, and never below five minutes.
--
-- grain:   one row, or none before the first minute with new lists
-- params:  $now (timestamp, UTC), $width, $waiting_s (seconds that the oldest event without a list has waited; 0 if there is none)
-- reads:   ops.freshness
-- returns: check_name, value, usual, low (null), high, n_days (days of history)
with lists as (
    select
        floor(epoch($now::timestamp - generated_at) / 3600)::integer as hours_ago,
        epoch(generated_at - received_at) as wait_s
    from ops.freshness
    where generated_at > $now::timestamp - interval 29 day
        and generated_at <= $now::timestamp
),

hours as (
    select
        hours_ago,
        quantile_cont(wait_s, 0.95) as wait_s
    from lists
    group by hours_ago
),

span as (
    select greatest(coalesce(max(hours_ago), -1) + 1, 24)::integer // 24 - 1 as n_days
    from hours
)

select
    'lag' as check_name,
    greatest(coalesce((select wait_s from hours where hours_ago = 0), 0), $waiting_s::double) as value,
    median(past.wait_s) as usual,
    null::double as low,
    greatest(300, $width * quantile_cont(past.wait_s, 0.99)) as high,
    any_value(span.n_days) as n_days
from span
left join hours as past
    on past.hours_ago >= 24
where exists (select 1 from hours)
having count(*) > 0
