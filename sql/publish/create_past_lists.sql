-- The lists that users had at a time: the last row of the list history until then. Users who came since have the list for unknown users
-- of that time. People who have opted out since have none, and neither do ids that were merged into others.
--
-- grain:   one row per scenario and user
-- params:  $until (timestamp, UTC)
-- reads:   recs.list_history, recs.recommendations, recs.scenario_recommendations, raw.user_aliases, ops.opt_outs,
--          in_tables (registered: scenario)
-- returns: the temporary table past_lists, with the columns of recs.list_history
create or replace temp table past_lists as
with last as (
    select
        history.scenario,
        history.user_id,
        max(history.published_at) as published_at
    from recs.list_history as history
    where history.published_at <= $until
        and history.scenario in (select in_tables.scenario from in_tables)
    group by history.scenario, history.user_id
),

own as (
    select past.*
    from recs.list_history as past
    inner join last
        on past.published_at = last.published_at
            and past.user_id = last.user_id
            and past.scenario = last.scenario
    where len(past.item_ids) > 0
),

listed as (
    select distinct
        'default' as scenario,
        lists.user_id
    from recs.recommendations as lists
    where lists.rank = 1
    union all
    select distinct
        lists.scenario,
        lists.user_id
    from recs.scenario_recommendations as lists
    where lists.rank = 1
),

newcomers as (
    select anyone.* replace (listed.user_id as user_id)
    from listed
    inner join own as anyone
        on listed.scenario = anyone.scenario
            and anyone.user_id = '*'
    where (listed.scenario, listed.user_id) not in (select (own.scenario, own.user_id) from own)
)

select every.*
from (
    select *
    from own
    union all
    select *
    from newcomers
) as every
where every.user_id not in (select outs.user_id from ops.opt_outs as outs where outs.opted_in_at is null)
    and every.user_id not in (select aliases.alias from raw.user_aliases as aliases)
