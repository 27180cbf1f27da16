-- Deletes events that happened, or came in, before a time.
--
-- params:  $older_than (timestamp, UTC)
-- writes:  raw.events
delete from raw.events
where occurred_at < $older_than
    or received_at < $older_than
