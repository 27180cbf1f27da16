-- The items that past lists must not show any more, for the lists that have one of them: those that no list of the scenario may show,
-- those that it hides from the user, and those that the user had. Of the last kind, all count if the model leaves out what users already
-- had; else those bought since, that is purchases that came into the lake after the snapshot of the list. Where that snapshot is gone, a
-- purchase counts if it happened and came in after the list was made, or in the hour before, as a list may be older than its time says.
-- Aliases count as their users.
--
-- grain:   one row per scenario and user
-- params:  $hides_seen, $event_types (varchar[]), $weights (double[])
-- reads:   past_lists (temporary: as create_past_lists makes it), barred (temporary: scenario, item_id),
--          hidden (temporary: scenario, user_id, item_id), raw.events, raw.user_aliases
-- returns: the temporary table blocked_items: scenario, user_id, item_ids
create or replace temp table blocked_items as
with dated as (
    select
        past.scenario,
        past.user_id,
        past.generated_at,
        snapshots.snapshot_time::timestamp as known_at
    from past_lists as past
    left join ducklake_snapshots('lake') as snapshots on past.data_snapshot = snapshots.snapshot_id
),

listed as (
    select
        past.scenario,
        past.user_id,
        unnest(past.item_ids) as item_id
    from past_lists as past
),

had as not materialized (
    select
        coalesce(aliases.user_id, events.user_id) as user_id,
        events.item_id,
        events.received_at,
        happened_at(events.occurred_at, events.received_at) as happened_at
    from raw.events as events
    left join raw.user_aliases as aliases on events.user_id = aliases.alias
    where events.item_id is not null
        and case when $hides_seen then weight_of(events.event_type, $event_types, $weights) > 0 else events.event_type = 'purchase' end
),

had_since as not materialized (
    select
        dated.scenario,
        dated.user_id,
        had.item_id
    from dated
    inner join had
        on dated.user_id = had.user_id
    where $hides_seen
        or had.received_at > dated.known_at
        or (dated.known_at is null and had.happened_at + interval 1 hour > dated.generated_at)
),

of_scenario as (
    select
        listed.scenario,
        listed.user_id,
        listed.item_id
    from listed
    inner join barred
        on listed.item_id = barred.item_id
            and listed.scenario = barred.scenario
),

touched as (
    select
        of_scenario.scenario,
        of_scenario.user_id
    from of_scenario
    union
    select
        listed.scenario,
        listed.user_id
    from listed
    inner join hidden
        on listed.scenario = hidden.scenario
            and listed.user_id = hidden.user_id
            and listed.item_id = hidden.item_id
    union
    select
        listed.scenario,
        listed.user_id
    from listed
    inner join had_since
        on listed.scenario = had_since.scenario
            and listed.user_id = had_since.user_id
            and listed.item_id = had_since.item_id
),

blocked as (
    select
        of_scenario.scenario,
        of_scenario.user_id,
        of_scenario.item_id
    from of_scenario
    union all
    select
        hidden.scenario,
        hidden.user_id,
        hidden.item_id
    from hidden
    inner join touched
        on hidden.scenario = touched.scenario
            and hidden.user_id = touched.user_id
    union all
    select
        had_since.scenario,
        had_since.user_id,
        had_since.item_id
    from had_since
    inner join touched
        on had_since.scenario = touched.scenario
            and had_since.user_id = touched.user_id
)

select
    blocked.scenario,
    blocked.user_id,
    list(blocked.item_id) as item_ids
from blocked
group by blocked.scenario, blocked.user_id
