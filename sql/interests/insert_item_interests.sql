-- Inserts the interests of items, in input order.
--
-- grain:   one row per item and interest
-- params:  $model_version, $mlflow_run_id, $flow_run_id, $data_snapshot, $generated_at (timestamp, UTC)
-- reads:   members (registered: item_id, interest_id, share)
-- writes:  recs.item_interests
insert into recs.item_interests by name
select
    members.item_id as item_id,
    members.interest_id as interest_id,
    members.share as share,
    $model_version as model_version,
    $mlflow_run_id as mlflow_run_id,
    $flow_run_id as flow_run_id,
    $data_snapshot as data_snapshot,
    $generated_at as generated_at
from members
