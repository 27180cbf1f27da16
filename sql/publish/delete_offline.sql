-- Deletes the metrics of a flow run before it writes them again.
--
-- params:  $flow_run_id
-- writes:  eval.offline
delete from eval.offline
where flow_run_id = $flow_run_id
