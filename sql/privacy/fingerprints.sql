-- The privacy keys that the homes of this lake have in common.
--
-- grain:   one row per key
-- reads:   ops.key_fingerprints
-- returns: number, fingerprint
select
    number,
    fingerprint
from ops.key_fingerprints
order by number
