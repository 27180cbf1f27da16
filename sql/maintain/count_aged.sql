-- Rows of the tables that age, the time of the oldest, and how many are older than allowed.
--
-- grain:   one row per table
-- params:  $events, $rejected, $served, $lists, $freshness, $figures (timestamps, UTC: rows from before are due)
-- reads:   raw.events, raw.rejected, ops.served, ops.api_positions, eval.outcomes, recs.list_history, ops.freshness, eval.prequential,
--          eval.online, ops.health
-- returns: setting, table_name, n_rows, oldest, n_due
select
    'events' as setting,
    'raw.events' as table_name,
    count(*) as n_rows,
    min(happened_at(occurred_at, received_at)) as oldest,
    count(*) filter (where happened_at(occurred_at, received_at) < $events) as n_due
from raw.events
union all
select
    'rejected' as setting,
    'raw.rejected' as table_name,
    count(*) as n_rows,
    min(rejected_at) as oldest,
    count(*) filter (where rejected_at < $rejected) as n_due
from raw.rejected
union all
select
    'served' as setting,
    'ops.served' as table_name,
    count(*) as n_rows,
    min(served_at) as oldest,
    count(*) filter (where served_at < $served) as n_due
from ops.served
union all
select
    'served' as setting,
    'ops.api_positions' as table_name,
    count(*) as n_rows,
    min(taken_at) as oldest,
    count(*) filter (where taken_at < $served) as n_due
from ops.api_positions
union all
select
    'served' as setting,
    'eval.outcomes' as table_name,
    count(*) as n_rows,
    min(shown_at) as oldest,
    count(*) filter (where shown_at < $served) as n_due
from eval.outcomes
union all
select
    'lists' as setting,
    'recs.list_history' as table_name,
    count(*) as n_rows,
    min(published_at) as oldest,
    count(*) filter (where published_at < $lists and (len(item_ids) = 0 or later < $lists)) as n_due
from (
    select
        published_at,
        item_ids,
        lead(published_at) over (partition by user_id, scenario order by published_at) as later
    from recs.list_history
)
union all
select
    'freshness' as setting,
    'ops.freshness' as table_name,
    count(*) as n_rows,
    min(generated_at) as oldest,
    count(*) filter (where generated_at < $freshness) as n_due
from ops.freshness
union all
select
    'figures' as setting,
    'eval.prequential' as table_name,
    count(*) as n_rows,
    min(evaluated_at) as oldest,
    count(*) filter (where evaluated_at < $figures) as n_due
from eval.prequential
union all
select
    'figures' as setting,
    'ops.health' as table_name,
    count(*) as n_rows,
    min(checked_at) as oldest,
    count(*) filter (where checked_at < $figures) as n_due
from ops.health
union all
select
    'figures' as setting,
    'eval.online' as table_name,
    count(*) as n_rows,
    min(hour) as oldest,
    count(*) filter (where hour < $figures) as n_due
from eval.online
