-- Inserts the restored lists of the scenarios besides default in order.
--
-- grain:   one row per scenario, user and rank
-- reads:   restored_lists (temporary: as create_restored_lists makes it)
-- writes:  recs.scenario_recommendations
insert into recs.scenario_recommendations by name
select
    restored.scenario as scenario,
    restored.user_id as user_id,
    generate_subscripts(restored.item_ids, 1)::integer as rank,
    unnest(restored.item_ids) as item_id,
    unnest(restored.scores) as score,
    (restored.probability * exp(unnest(restored.scores) - restored.scores[1]))::float as probability,
    unnest(restored.sources) as source,
    unnest(restored.reasons) as reason,
    unnest(restored.slots) as slot,
    unnest(restored.propensities) as propensity,
    restored.model_version as model_version,
    restored.mlflow_run_id as mlflow_run_id,
    restored.flow_run_id as flow_run_id,
    restored.data_snapshot as data_snapshot,
    restored.generated_at as generated_at
from restored_lists as restored
where restored.scenario <> 'default'
