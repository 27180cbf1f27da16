-- The watermarks: the last snapshot that each consumer has processed.
--
-- grain:   one row per consumer, none before the first publish
-- reads:   ops.watermarks
-- returns: consumer, snapshot
select
    consumer,
    snapshot
from ops.watermarks
