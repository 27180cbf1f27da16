-- Of the lists of the default scenario with an item that no list may have any more: the rows that stay, with new ranks.
--
-- grain:   one row per user and rank
-- reads:   barred (registered: scenario, item_id), recs.recommendations
-- returns: the temporary table kept, with the columns of recs.recommendations
create or replace temp table kept as
select
    lists.user_id as user_id,
    row_number() over (partition by lists.user_id order by lists.rank)::integer as rank,
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
from recs.recommendations as lists
where lists.user_id in (
        select found.user_id
        from recs.recommendations as found
        where found.item_id in (select barred.item_id from barred where barred.scenario = 'default')
    )
    and lists.item_id not in (select barred.item_id from barred where barred.scenario = 'default')
order by lists.user_id, rank
