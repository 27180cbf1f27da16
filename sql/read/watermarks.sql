-- The watermarks: snapshots up to which events are in the lists and in the live model.
--
-- grain:   one row, none before the first publish
-- reads:   ops.watermarks
-- returns: published, learnt
select
    max(snapshot) filter (where consumer = 'published') as published,
    max(snapshot) filter (where consumer = 'learnt') as learnt
from ops.watermarks
having count(*) > 0
