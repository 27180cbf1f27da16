-- Record a privacy key that a home uses.
--
-- params:  $number, $fingerprint
-- writes:  ops.key_fingerprints
insert into ops.key_fingerprints by name
select
    $number as number,
    $fingerprint as fingerprint,
    now()::timestamp as recorded_at
