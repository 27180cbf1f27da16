-- Deletes the outcomes of impressions from before a time.
--
-- params:  $older_than (timestamp, UTC)
-- writes:  eval.outcomes
delete from eval.outcomes
where shown_at < $older_than
