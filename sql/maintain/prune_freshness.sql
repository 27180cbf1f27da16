-- Deletes freshness rows of lists that were made before a time.
--
-- params:  $older_than (timestamp, UTC)
-- writes:  ops.freshness
delete from ops.freshness
where generated_at < $older_than
