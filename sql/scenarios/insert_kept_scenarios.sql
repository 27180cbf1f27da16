-- Inserts the rows that stay of lists with an item that no list may have any more.
--
-- grain:   one row per scenario, user and rank
-- reads:   kept (temporary: the columns of the table)
-- writes:  recs.scenario_recommendations
insert into recs.scenario_recommendations by name
select
    kept.scenario as scenario,
    kept.user_id as user_id,
    kept.rank as rank,
    kept.item_id as item_id,
    kept.score as score,
    kept.probability as probability,
    kept.source as source,
    kept.reason as reason,
    kept.slot as slot,
    kept.propensity as propensity,
    kept.model_version as model_version,
    kept.mlflow_run_id as mlflow_run_id,
    kept.flow_run_id as flow_run_id,
    kept.data_snapshot as data_snapshot,
    kept.generated_at as generated_at
from kept
