-- Inserts the histories of some users, made of all their events, as publish/insert_histories makes those of everybody.
--
-- grain:   one row per user
-- params:  $max_events, $updated_at (timestamp, UTC)
-- reads:   taught (registered: columns of publish/history_events), trends (registered: user_id, trends: one number per event of the
--          history)
-- writes:  features.user_histories
insert into features.user_histories by name
select
    histories.user_id as user_id,
    histories.item_ids as item_ids,
    histories.event_types as event_types,
    histories.occurred_at as occurred_at,
    case when len(trends.trends) = len(histories.item_ids) then trends.trends else histories.trends end as trends,
    histories.earlier_item_ids as earlier_item_ids,
    histories.n_events as n_events,
    $updated_at as updated_at
from histories_of('taught', $max_events) as histories
left join trends
    on histories.user_id = trends.user_id
order by histories.user_id
