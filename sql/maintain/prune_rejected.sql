-- Deletes the rows that were rejected before a time.
--
-- params:  $older_than (timestamp, UTC)
-- writes:  raw.rejected
delete from raw.rejected
where rejected_at < $older_than
