-- Asks for the end of an experiment: the next publication gives everybody the lists of the control.
--
-- params:  $experiment_id, $verdict
-- writes:  ops.experiments
update ops.experiments
set
    state = 'stopping',
    verdict = $verdict
where experiment_id = $experiment_id
    and state <> 'stopped'
