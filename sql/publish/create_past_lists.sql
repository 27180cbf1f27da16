-- The lists that users had at a time: the last row of the list history until then. People who have opted out since have none, and neither
-- do ids that were merged into others. Each wide row is read and stored once.
--
-- grain:   one row per scenario and user
-- params:  $until (timestamp, UTC)
-- reads:   recs.list_history, raw.user_aliases, ops.opt_outs, in_tables (temporary: scenario)
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
)

select past.*
from recs.list_history as past
inner join last
    on past.published_at = last.published_at
        and past.user_id = last.user_id
        and past.scenario = last.scenario
where past.published_at <= $until
    and len(past.item_ids) > 0
    and past.user_id not in (select outs.user_id from ops.opt_outs as outs where outs.opted_in_at is null)
    and past.user_id not in (select aliases.alias from raw.user_aliases as aliases)
