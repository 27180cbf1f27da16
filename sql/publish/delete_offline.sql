-- Deletes the metrics of a training before it writes them again. A night with an experiment has two trainings in one flow run.
--
-- params:  $flow_run_id, $mlflow_run_id
-- writes:  eval.offline
delete from eval.offline
where flow_run_id = $flow_run_id
    and mlflow_run_id = $mlflow_run_id
