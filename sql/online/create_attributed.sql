-- The impression that each outcome is counted for: of those in the window before it, the last of the list that it names, else the last of
-- the same user and item. Outcomes of bots count for none.
--
-- grain:   one row per outcome that an impression explains
-- params:  $window_hours (double)
-- reads:   acts, seen, shown (temporary, as the statements before make them)
-- returns: attributed (temporary: event_id, act, value, happened_at, impression_id)
create or replace temp table attributed as
with outcomes as (
    select
        *,
        happened_at - to_microseconds(($window_hours * 3600000000)::bigint) as since
    from acts
    where act <> 'impression'
        and (user_id, date_trunc('hour', happened_at)) not in (
            select (seen.user_id, date_trunc('hour', seen.happened_at))
            from seen
            where seen.refusal = 'bot'
        )
),

candidates as (
    select
        outcomes.event_id,
        true as is_named,
        outcomes.user_id = shown.user_id as is_same_user,
        shown.shown_at,
        shown.impression_id
    from outcomes
    inner join shown
        on outcomes.recommendation_id = shown.recommendation_id
            and outcomes.item_id = shown.item_id
            and outcomes.happened_at >= shown.shown_at
            and outcomes.since <= shown.shown_at
    union all
    select
        outcomes.event_id,
        false as is_named,
        true as is_same_user,
        shown.shown_at,
        shown.impression_id
    from outcomes
    inner join shown
        on outcomes.user_id = shown.user_id
            and outcomes.item_id = shown.item_id
            and outcomes.happened_at >= shown.shown_at
            and outcomes.since <= shown.shown_at
),

chosen as (
    select
        event_id,
        impression_id
    from candidates
    qualify row_number() over (
        partition by event_id order by is_named desc, is_same_user desc, shown_at desc, impression_id
    ) = 1
)

select
    outcomes.event_id,
    outcomes.act,
    outcomes.value,
    outcomes.happened_at,
    chosen.impression_id
from chosen
inner join outcomes
    on chosen.event_id = outcomes.event_id
