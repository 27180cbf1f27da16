-- Deletes the freshness rows of a publication before it is written again.
--
-- params:  $publication_id
-- writes:  ops.freshness
delete from ops.freshness
where publication_id = $publication_id
