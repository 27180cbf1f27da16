-- From which hour on outcomes can differ from what eval.outcomes holds; null if nothing has arrived since it was built.
--
-- An event that has arrived can change the outcomes of impressions up to a window before it. Hours that are more than $final_days older
-- than the newest impression are final. An hour of overlap finds the events of transactions that began before the last build.
--
-- grain:   one row
-- params:  $window_hours (double), $final_days (integer), $oldest (timestamp, UTC)
-- reads:   eval.outcomes, raw.events, raw.user_aliases
-- returns: since (timestamp, UTC)
with built as (
    select
        max(built_at) - interval 1 hour as until,
        greatest(max(shown_at) - to_days($final_days), $oldest) as final_before
    from eval.outcomes
),

merged as (
    select
        aliases.alias,
        aliases.user_id
    from raw.user_aliases as aliases
    cross join built
    where aliases.merged_at >= built.until
),

arrived as (
    select min(happened_at(events.occurred_at, events.received_at)) as first_at
    from raw.events as events
    cross join built
    where events.event_type in ('impression', 'click', 'view', 'purchase', 'rating')
        and events.item_id is not null
        and happened_at(events.occurred_at, events.received_at) >= built.final_before
        and (
            built.until is null
            or events.received_at >= built.until
            or events.user_id in (select merged.alias from merged)
        )
)

select
    date_trunc(
        'hour',
        greatest(arrived.first_at - to_microseconds(($window_hours * 3600000000)::bigint), built.final_before)
    ) as since
from arrived
cross join built
