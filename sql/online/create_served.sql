-- The list behind each impression that names one which the API has answered with.
--
-- grain:   one row per impression
-- reads:   seen (temporary, as create_seen makes it), ops.served
-- returns: served (temporary: event_id, place (0 if the list did not hold the item), scenario, source, slot, propensity, model_version)
create or replace temp table served as
with lists as (
    select *
    from ops.served
    where recommendation_id in (select seen.recommendation_id from seen where seen.refusal is null)
    qualify row_number() over (partition by recommendation_id order by served_at) = 1
)

select
    seen.event_id as event_id,
    coalesce(list_position(lists.item_ids, seen.item_id), 0) as place,
    lists.scenario as scenario,
    lists.sources[list_position(lists.item_ids, seen.item_id)] as source,
    coalesce(lists.slots[list_position(lists.item_ids, seen.item_id)], 'ranked') as slot,
    coalesce(lists.propensities[list_position(lists.item_ids, seen.item_id)], 1)::float as propensity,
    lists.model_version as model_version
from seen
inner join lists
    on seen.recommendation_id = lists.recommendation_id
where seen.refusal is null
