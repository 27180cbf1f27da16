-- Of the scenario lists with an item that no list may have any more: the rows that stay, with new ranks.
--
-- grain:   one row per scenario, user and rank
-- reads:   barred (registered: scenario, item_id), recs.scenario_recommendations
-- returns: the temporary table kept, with the columns of recs.scenario_recommendations
create or replace temp table kept as
select
    lists.scenario as scenario,
    lists.user_id as user_id,
    row_number() over (partition by lists.scenario, lists.user_id order by lists.rank)::integer as rank,
    lists.item_id as item_id,
    lists.score as score,
    lists.probability as probability,
    lists.source as source,
    lists.reason as reason,
    lists.slot as slot,
    lists.propensity as propensity,
    lists.model_version as model_version,
    lists.mlflow_run_id as mlflow_run_id,
    lists.flow_run_id as flow_run_id,
    lists.data_snapshot as data_snapshot,
    lists.generated_at as generated_at
from recs.scenario_recommendations as lists
where (lists.scenario, lists.user_id) in (
        select (found.scenario, found.user_id)
        from recs.scenario_recommendations as found
        where (found.scenario, found.item_id) in (select (barred.scenario, barred.item_id) from barred)
    )
    and (lists.scenario, lists.item_id) not in (select (barred.scenario, barred.item_id) from barred)
order by lists.scenario, lists.user_id, rank
