-- The time of the next publication: now, but later than all publications before, even if the clock is not.
--
-- grain:   one row
-- params:  $now (timestamp, UTC)
-- reads:   recs.publications
-- returns: published_at
select greatest($now, max(earlier.published_at) + interval 1 microsecond) as published_at
from recs.publications as earlier
