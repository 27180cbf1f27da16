-- Whether a publication was there at a snapshot of the lake.
--
-- grain:   one row
-- params:  $publication_id, $snapshot
-- reads:   recs.publications
-- returns: is_published
select count(*) > 0 as is_published
from recs.publications as p at (version => $snapshot)
where p.publication_id = $publication_id
