-- Forget a publish that is about to be done again.
--
-- params:  $publication_id
-- writes:  recs.publications
delete from recs.publications
where publication_id = $publication_id
