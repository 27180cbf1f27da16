-- Whether an earlier run left stale lists unrefreshed.
--
-- grain:   one row
-- params:  $older_than (timestamp, UTC): lists older than this are refreshed because of their age
-- reads:   ops.moved_items
-- returns: is_waiting
select count(*) > 0 as is_waiting
from ops.moved_items as waiting
where waiting.moved_at >= $older_than
