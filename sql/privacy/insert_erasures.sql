-- Records requests to erase people, whose ids the ledger holds as digests only.
--
-- grain:   one row per erasure and digest
-- params:  $erasure_id, $source, $requested_at (timestamp, UTC), $state, $steps (JSON), $snapshot (bigint),
--          $weights_due_by (timestamp, UTC)
-- reads:   digests (registered: user_digest)
-- writes:  ops.erasures
insert into ops.erasures by name
select
    $erasure_id as erasure_id,
    digests.user_digest as user_digest,
    $source as source,
    $requested_at as requested_at,
    $state as state,
    $steps as steps,
    $snapshot as snapshot,
    $weights_due_by as weights_due_by
from digests
order by digests.user_digest
