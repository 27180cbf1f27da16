-- Which privacy keys the homes of this lake use, so that no home uses others.
--
-- grain:   one row per key
create table ops.key_fingerprints (
    number integer not null,
    fingerprint varchar not null,
    recorded_at timestamp not null
);
comment on table ops.key_fingerprints is 'The privacy keys that the homes of a shared lake have in common';
comment on column ops.key_fingerprints.number is 'Number of the key, as in privacy-keys.json';
comment on column ops.key_fingerprints.fingerprint is 'A digest of a fixed text under the key; it tells nothing about the key';
comment on column ops.key_fingerprints.recorded_at is 'When a home first named the key, UTC';
