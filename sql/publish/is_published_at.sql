-- Whether a publication was there at a snapshot of the lake.
--
-- grain:   one row
-- params:  $publication_id, $snapshot
-- reads:   recs.publications
-- returns: is_published
select count(*) > 0 as is_published
from recs.publications at (version => $snapshot) as p
where p.publication_id = $publication_id
