-- Lets erased people come back: events after this moment count again.
--
-- params:  $digests (varchar[]), $readmitted_at (timestamp, UTC)
-- writes:  ops.erasures
update ops.erasures
set readmitted_at = $readmitted_at
where list_contains($digests, user_digest)
    and readmitted_at is null
