-- Records a publication. The newest one names the live model, so published_at must be later than in all other rows (next_moment).
--
-- grain:   one row
-- params:  $publication_id, $cadence, $model_version, $champion, $mlflow_run_id, $flow_run_id, $data_snapshot, $n_users, $n_users_changed,
--          $n_items, $hides_seen_items, $seen_items_setting, $repeat_share (null if not recorded), $checkpoint,
--          $checkpoint_sha256 (null if unknown), $asked_s (unix seconds, null if unknown), $gate, $gate_reason,
--          $gate_figures (null without a gate), $learnt (snapshot), $published_at (timestamp, UTC)
-- writes:  recs.publications
insert into recs.publications by name
select
    $publication_id as publication_id,
    $cadence as cadence,
    $model_version as model_version,
    $champion as champion,
    $mlflow_run_id as mlflow_run_id,
    $flow_run_id as flow_run_id,
    $data_snapshot as data_snapshot,
    $n_users as n_users,
    $n_users_changed as n_users_changed,
    $n_items as n_items,
    $hides_seen_items as hides_seen_items,
    $seen_items_setting as seen_items_setting,
    $repeat_share as repeat_share,
    $checkpoint as checkpoint,
    $checkpoint_sha256 as checkpoint_sha256,
    make_timestamp($asked_s::bigint * 1000000) as asked_at,
    $gate as gate,
    $gate_reason as gate_reason,
    $gate_figures as gate_figures,
    $learnt as learnt,
    $published_at as published_at
