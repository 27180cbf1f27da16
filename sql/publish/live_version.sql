-- The live model version, and the MLflow run that trained it.
--
-- grain:   one row, none before the first publish
-- reads:   recs.publications
-- returns: model_version, mlflow_run_id
select
    p.model_version,
    p.mlflow_run_id
from recs.publications as p
order by p.published_at desc, p.publication_id desc
limit 1
