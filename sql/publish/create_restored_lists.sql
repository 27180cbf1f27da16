-- The past lists as they may be shown now: without barred, hidden and had items. Lists that get shorter are filled up from the list for
-- unknown users, and users without a past list get that list. Where a scenario caps categories, short lists stay short.
--
-- grain:   one row per scenario, user and rank
-- reads:   past_lists (temporary: as create_past_lists makes it), had_items (temporary: user_id, item_id, at),
--          barred (registered: scenario, item_id), hidden (registered: scenario, user_id, item_id), in_tables (registered: scenario,
--          is_capped), recs.recommendations, recs.scenario_recommendations, raw.user_aliases, ops.opt_outs
-- returns: the temporary table restored_lists, with the columns of recs.scenario_recommendations
create or replace temp table restored_lists as
with taken as (
    select
        past.scenario,
        past.user_id,
        generate_subscripts(past.item_ids, 1) as position,
        unnest(past.item_ids) as item_id,
        unnest(past.scores) as score,
        unnest(past.sources) as source,
        unnest(past.reasons) as reason,
        past.generated_at
    from past_lists as past
),

kept as (
    select taken.*
    from taken
    anti join barred
        on taken.item_id = barred.item_id
            and taken.scenario = barred.scenario
    anti join hidden
        on taken.user_id = hidden.user_id
            and taken.item_id = hidden.item_id
            and taken.scenario = hidden.scenario
    anti join had_items
        on taken.user_id = had_items.user_id
            and taken.item_id = had_items.item_id
            and taken.generated_at < had_items.at
),

counted as (
    select
        kept.scenario,
        kept.user_id,
        count(*) as n_kept,
        min(kept.score) as last_score
    from kept
    group by kept.scenario, kept.user_id
),

anyone as (
    select kept.*
    from kept
    where kept.user_id = '*'
),

listed as (
    select distinct
        'default' as scenario,
        lists.user_id
    from recs.recommendations as lists
    union all
    select distinct
        lists.scenario,
        lists.user_id
    from recs.scenario_recommendations as lists
),

short as (
    select
        past.scenario,
        past.user_id,
        len(past.item_ids) - coalesce(counted.n_kept, 0) as n_missing,
        len(past.item_ids) as last_position,
        counted.last_score
    from past_lists as past
    inner join in_tables
        on past.scenario = in_tables.scenario
            and not in_tables.is_capped
    left join counted
        on past.scenario = counted.scenario
            and past.user_id = counted.user_id
    where coalesce(counted.n_kept, 0) < len(past.item_ids)
        and past.user_id <> '*'
    union all
    select
        listed.scenario,
        listed.user_id,
        (select count(*) from anyone where anyone.scenario = listed.scenario) as n_missing,
        0 as last_position,
        null as last_score
    from listed
    anti join past_lists
        on listed.scenario = past_lists.scenario
            and listed.user_id = past_lists.user_id
    where listed.user_id not in (select outs.user_id from ops.opt_outs as outs where outs.opted_in_at is null)
        and listed.user_id not in (select aliases.alias from raw.user_aliases as aliases)
),

filled as (
    select
        short.scenario,
        short.user_id,
        short.last_position + anyone.position as position,
        anyone.item_id,
        coalesce(short.last_score, anyone.score) as score,
        anyone.source,
        anyone.reason
    from short
    inner join anyone
        on short.scenario = anyone.scenario
    anti join kept
        on short.scenario = kept.scenario
            and short.user_id = kept.user_id
            and anyone.item_id = kept.item_id
    anti join hidden
        on short.scenario = hidden.scenario
            and short.user_id = hidden.user_id
            and anyone.item_id = hidden.item_id
    anti join had_items
        on short.user_id = had_items.user_id
            and anyone.item_id = had_items.item_id
            and anyone.generated_at < had_items.at
    qualify row_number() over (partition by short.scenario, short.user_id order by anyone.position) <= short.n_missing
),

together as (
    select * exclude (generated_at)
    from kept
    union all by name
    select *
    from filled
)

select
    together.scenario as scenario,
    together.user_id as user_id,
    row_number() over (partition by together.scenario, together.user_id order by together.position)::integer as rank,
    together.item_id as item_id,
    together.score as score,
    (origin.probability * exp(together.score - origin.scores[1]))::float as probability,
    together.source as source,
    together.reason as reason,
    origin.model_version as model_version,
    origin.mlflow_run_id as mlflow_run_id,
    origin.flow_run_id as flow_run_id,
    origin.data_snapshot as data_snapshot,
    origin.generated_at as generated_at
from together
left join past_lists as own
    on together.scenario = own.scenario
        and together.user_id = own.user_id
inner join past_lists as origin
    on together.scenario = origin.scenario
        and origin.user_id = coalesce(own.user_id, '*')
order by scenario, user_id, rank
