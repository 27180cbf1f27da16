-- Fingerprints of the lists that users have now: the last rows of the list history.
--
-- grain:   one row per scenario and user
-- params:  $depth (top ranks)
-- reads:   recs.list_history, in_tables (temporary: scenario)
-- returns: the temporary table newest_lists: scenario, user_id, top (of the top ranks), whole (of the whole list with its slots)
create or replace temp table newest_lists as
with last as (
    select
        history.scenario,
        history.user_id,
        max(history.published_at) as published_at
    from recs.list_history as history
    where history.scenario in (select in_tables.scenario from in_tables)
    group by history.scenario, history.user_id
)

select
    newest.scenario,
    newest.user_id,
    hash(list_slice(newest.item_ids, 1, $depth)) as top,
    hash(newest.item_ids, newest.slots) as whole
from recs.list_history as newest
inner join last
    on newest.published_at = last.published_at
        and newest.user_id = last.user_id
        and newest.scenario = last.scenario
where len(newest.item_ids) > 0
