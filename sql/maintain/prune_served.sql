-- Deletes the lists that the API answered with before a time.
--
-- params:  $older_than (timestamp, UTC)
-- writes:  ops.served
delete from ops.served
where served_at < $older_than
