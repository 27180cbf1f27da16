-- The ledger of erasures, oldest first.
--
-- grain:   one row per erasure and digest
-- reads:   ops.erasures
-- returns: erasure_id, user_digest, source, requested_at, state, steps, snapshot, weights_due_by, readmitted_at, certificate
select
    ledger.erasure_id,
    ledger.user_digest,
    ledger.source,
    ledger.requested_at,
    ledger.state,
    ledger.steps,
    ledger.snapshot,
    ledger.weights_due_by,
    ledger.readmitted_at,
    ledger.certificate
from ops.erasures as ledger
order by ledger.requested_at, ledger.erasure_id, ledger.user_digest
