-- The items that users had, and which lists must not show them: all, if the model leaves out what users already had; else those from before
-- a purchase, and from an hour after it, as a list may be older than its time says. Aliases count as their users.
--
-- grain:   one row per user and item
-- params:  $hides_seen, $event_types (varchar[]), $weights (double[])
-- reads:   raw.events, raw.user_aliases
-- returns: the temporary table had_items: user_id, item_id, at (timestamp, UTC: lists from before must not show the item)
create or replace temp table had_items as
select
    coalesce(aliases.user_id, events.user_id) as user_id,
    events.item_id as item_id,
    case when $hides_seen then 'infinity'::timestamp else max(events.received_at) + interval 1 hour end as at
from raw.events as events
left join raw.user_aliases as aliases on events.user_id = aliases.alias
where events.item_id is not null
    and case when $hides_seen then weight_of(events.event_type, $event_types, $weights) > 0 else events.event_type = 'purchase' end
group by all
