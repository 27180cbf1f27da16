-- Records what stays of the lists of the default scenario that delete_barred_default deletes next.
--
-- grain:   one row per user
-- params:  $publication_id, $published_at (timestamp, UTC)
-- reads:   barred (registered: scenario, item_id), kept (temporary: the columns of the table), recs.recommendations
-- writes:  recs.list_history
insert into recs.list_history by name
with lists as (
    select distinct
        found.user_id,
        found.model_version,
        found.mlflow_run_id,
        found.flow_run_id,
        found.data_snapshot,
        found.generated_at
    from recs.recommendations as found
    where found.item_id in (select barred.item_id from barred where barred.scenario = 'default')
)

select
    lists.user_id as user_id,
    'default' as scenario,
    $published_at as published_at,
    coalesce(list(kept.item_id order by kept.rank) filter (where kept.rank is not null), []) as item_ids,
    coalesce(list(round(kept.score, 3)::float order by kept.rank) filter (where kept.rank is not null), []) as scores,
    arg_min(kept.probability, kept.rank) as probability,
    coalesce(list(kept.source order by kept.rank) filter (where kept.rank is not null), []) as sources,
    coalesce(list(kept.reason order by kept.rank) filter (where kept.rank is not null), []) as reasons,
    coalesce(list(kept.slot order by kept.rank) filter (where kept.rank is not null), []) as slots,
    coalesce(list(kept.propensity order by kept.rank) filter (where kept.rank is not null), []) as propensities,
    $publication_id as publication_id,
    any_value(lists.model_version) as model_version,
    any_value(lists.mlflow_run_id) as mlflow_run_id,
    any_value(lists.flow_run_id) as flow_run_id,
    any_value(lists.data_snapshot) as data_snapshot,
    any_value(lists.generated_at) as generated_at
from lists
left join kept
    on lists.user_id = kept.user_id
group by lists.user_id
order by lists.user_id
