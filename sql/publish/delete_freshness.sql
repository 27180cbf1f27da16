-- Forget the waits of a publish that is about to be done again.
--
-- params:  $publication_id
-- writes:  ops.freshness
delete from ops.freshness
where publication_id = $publication_id
