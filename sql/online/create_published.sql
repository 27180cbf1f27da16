-- The published list behind each other impression: that which the user had then, else the list for anyone, if it held the item.
--
-- If lists of several scenarios held the item, `default` counts first.
--
-- grain:   one row per impression
-- params:  $anyone (varchar: user_id of the list for anyone)
-- reads:   seen (temporary, as create_seen makes it), served (temporary, as create_served makes it), recs.list_history
-- returns: published (temporary: the columns of served)
create or replace temp table published as
with wanting as (
    select
        event_id,
        item_id,
        happened_at,
        user_id,
        own_id
    from seen
    where refusal is null
        and event_id not in (select served.event_id from served)
),

owners as (
    select
        1 as place,
        *
    from wanting
    union all
    select
        2 as place,
        * replace (own_id as user_id)
    from wanting
    union all
    select
        3 as place,
        * replace ($anyone as user_id)
    from wanting
),

scenarios as (
    select distinct scenario
    from recs.list_history
),

asked as (
    select
        owners.*,
        scenarios.scenario
    from owners
    cross join scenarios
),

lists as (
    select
        asked.event_id,
        asked.item_id,
        asked.scenario,
        past.item_ids,
        past.sources,
        past.slots,
        past.propensities,
        past.model_version
    from asked
    asof inner join recs.list_history as past
        on asked.user_id = past.user_id
            and asked.scenario = past.scenario
            and asked.happened_at >= past.published_at
    where len(past.item_ids) > 0
    qualify row_number() over (partition by asked.event_id, asked.scenario order by asked.place) = 1
)

select
    event_id,
    list_position(item_ids, item_id) as place,
    scenario,
    sources[list_position(item_ids, item_id)] as source,
    coalesce(slots[list_position(item_ids, item_id)], 'ranked') as slot,
    coalesce(propensities[list_position(item_ids, item_id)], 1)::float as propensity,
    model_version
from lists
where list_position(item_ids, item_id) > 0
qualify row_number() over (partition by event_id order by scenario = 'default' desc, scenario) = 1
