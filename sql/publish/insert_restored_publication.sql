-- Records that an earlier model is live again, as the newest publication. Its lists are asked for the time of the publication before.
--
-- grain:   one row
-- params:  $publication_id, $cadence, $model_version, $champion, $mlflow_run_id, $flow_run_id, $data_snapshot, $n_users, $n_users_changed,
--          $n_items, $hides_seen_items, $seen_items_setting, $repeat_share (null if not recorded), $checkpoint, $checkpoint_sha256 (null if
--          unknown), $learnt (snapshot), $published_at (timestamp, UTC)
-- reads:   recs.publications
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
    max(before.asked_at) as asked_at,
    $learnt as learnt,
    $published_at as published_at
from recs.publications as before
