-- Note what is being published.
--
-- grain:   one row
-- params:  $publication_id, $cadence, $model_version, $mlflow_run_id, $flow_run_id, $data_snapshot, $n_users, $n_users_changed,
--          $n_items, $published_at (timestamp, UTC)
-- writes:  recs.publications
insert into recs.publications by name
select
    $publication_id as publication_id,
    $cadence as cadence,
    $model_version as model_version,
    $mlflow_run_id as mlflow_run_id,
    $flow_run_id as flow_run_id,
    $data_snapshot as data_snapshot,
    $n_users as n_users,
    $n_users_changed as n_users_changed,
    $n_items as n_items,
    $published_at as published_at
