-- Deletes the row of a publication before it is written again.
--
-- params:  $publication_id
-- writes:  recs.publications
delete from recs.publications
where publication_id = $publication_id
