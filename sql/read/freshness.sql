-- How long the users with new events waited for the lists that know them, over the last hour.
--
-- grain:   one row; no waits where nothing was published
-- params:  $since (timestamp, UTC)
-- reads:   ops.freshness
-- returns: n_users, p50_s, p95_s, max_s
select
    count(*) as n_users,
    quantile_cont(epoch(generated_at - received_at), 0.5) as p50_s,
    quantile_cont(epoch(generated_at - received_at), 0.95) as p95_s,
    max(epoch(generated_at - received_at)) as max_s
from ops.freshness
where generated_at >= $since::timestamp
