-- The last snapshot at which files of events were rewritten. The change feed shows events from before as new ones.
--
-- grain:   one row
-- reads:   recs.publications
-- returns: snapshot (null if there was none)
select max(p.data_snapshot) as snapshot
from recs.publications as p
where p.cadence = 'erasure'
