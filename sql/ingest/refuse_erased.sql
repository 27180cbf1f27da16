-- Refuses the rows of erased people. Of these rows, only the digest of the person stays.
--
-- reads:   found (registered: user_id, digest, since)
-- writes:  staged
update staged
set
    rule = 'the person is erased',
    reason = 'the person is erased; to take in what they do from now on: minutehand erasures --readmit ID',
    offending = found.digest,
    flaw = null,
    flaw_reason = null,
    flaw_offending = null,
    user_id = null,
    query = null,
    context = null,
    row_json = json_object('erased', found.digest)
from found
where staged.user_id = found.user_id
    and (found.since is null or staged.occurred_at is null or staged.occurred_at < found.since)
