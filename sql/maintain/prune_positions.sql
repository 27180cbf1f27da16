-- Deletes the records of segments of the API's log that were taken in before a time.
--
-- params:  $older_than (timestamp, UTC)
-- writes:  ops.api_positions
delete from ops.api_positions
where taken_at < $older_than
