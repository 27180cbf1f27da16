-- Deletes the figures of minutes before a time.
--
-- params:  $older_than (timestamp, UTC)
-- writes:  eval.prequential
delete from eval.prequential
where evaluated_at < $older_than
