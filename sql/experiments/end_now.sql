-- Ends the experiment within the publication that gives everybody other lists.
--
-- params:  $verdict, $stopped_at (timestamp, UTC)
-- writes:  ops.experiments
update ops.experiments
set
    state = 'stopped',
    verdict = $verdict,
    stopped_at = $stopped_at
where state <> 'stopped'
