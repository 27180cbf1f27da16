-- Up to which snapshot the work is done.
--
-- grain:   one row per consumer, none before the first publish
-- reads:   ops.watermarks
-- returns: consumer, snapshot
select
    consumer,
    snapshot
from ops.watermarks
