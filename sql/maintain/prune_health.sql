-- Deletes the findings of health checks before a time.
--
-- params:  $older_than (timestamp, UTC)
-- writes:  ops.health
delete from ops.health
where checked_at < $older_than
