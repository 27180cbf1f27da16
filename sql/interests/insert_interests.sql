-- Inserts the interests of the catalogue.
--
-- grain:   one row per interest
-- params:  $model_version, $mlflow_run_id, $flow_run_id, $data_snapshot, $generated_at (timestamp, UTC)
-- reads:   interests (registered: interest_id, kind, dimension, parent_id, name, terms, n_items)
-- writes:  recs.interests
insert into recs.interests by name
select
    interests.interest_id as interest_id,
    interests.kind as kind,
    interests.dimension as dimension,
    interests.parent_id as parent_id,
    interests.name as name,
    interests.terms as terms,
    interests.n_items as n_items,
    $model_version as model_version,
    $mlflow_run_id as mlflow_run_id,
    $flow_run_id as flow_run_id,
    $data_snapshot as data_snapshot,
    $generated_at as generated_at
from interests
