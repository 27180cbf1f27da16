-- The impressions that count, each with the list behind it and its segment.
--
-- grain:   one row per impression
-- params:  $event_types (varchar[]), $weights (double[])
-- reads:   seen, served, published (temporary, as the statements before make them), raw.events, raw.user_aliases
-- returns: shown (temporary: the columns of eval.outcomes up to shown_at, but for arm)
create or replace temp table shown as
with lists as (
    select *
    from served
    where place > 0
    union all
    select *
    from published
),

taught as (
    select
        coalesce(aliases.user_id, events.user_id) as user_id,
        events.item_id,
        happened_at(events.occurred_at, events.received_at) as happened_at
    from raw.events as events
    left join raw.user_aliases as aliases
        on events.user_id = aliases.alias
    where events.item_id is not null
        and weight_of(events.event_type, $event_types, $weights) > 0
),

users as (
    select
        user_id,
        min(happened_at) as first_at
    from taught
    where user_id in (select seen.user_id from seen)
    group by user_id
),

items as (
    select
        item_id,
        min(happened_at) as first_at
    from taught
    where item_id in (select seen.item_id from seen)
    group by item_id
)

select
    seen.event_id as impression_id,
    seen.recommendation_id as recommendation_id,
    seen.user_id as user_id,
    seen.item_id as item_id,
    coalesce(seen.position, lists.place)::integer as position,
    lists.scenario as scenario,
    coalesce(lists.source, 'model') as source,
    lists.slot as slot,
    lists.propensity as propensity,
    lists.model_version as model_version,
    case when users.first_at < seen.happened_at then 'warm' else 'cold' end
    || '_user_'
    || case when items.first_at < seen.happened_at then 'warm' else 'cold' end
    || '_item' as segment,
    seen.happened_at as shown_at
from seen
inner join lists
    on seen.event_id = lists.event_id
left join users
    on seen.user_id = users.user_id
left join items
    on seen.item_id = items.item_id
