-- Deletes the rates of hours before a time.
--
-- params:  $older_than (timestamp, UTC)
-- writes:  eval.online
delete from eval.online
where hour < $older_than
