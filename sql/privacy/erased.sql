-- Who is erased, and from when on events of them count again.
--
-- grain:   one row per digest
-- reads:   ops.erasures
-- returns: user_digest, since (timestamp, UTC; null if no event counts)
select
    ledger.user_digest,
    case when count(ledger.readmitted_at) = count(*) then max(ledger.readmitted_at) end as since
from ops.erasures as ledger
group by ledger.user_digest
order by ledger.user_digest
