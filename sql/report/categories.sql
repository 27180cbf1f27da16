-- The categories of the first ten places of lists, now and after the night before, and those of what people did in the last seven days.
--
-- A category is the first of its item.
--
-- grain:   one row per category, of the most frequent
-- params:  $n (categories), $since (timestamp, UTC)
-- reads:   places (temporary: is_now, user_id, place, item_id), raw.items, raw.events
-- returns: category, share_now, share_before (null without a night before), share_done
with shown as (
    select
        items.categories[1] as category,
        count(*) filter (where places.is_now) as n_now,
        count(*) filter (where not places.is_now) as n_before
    from places
    inner join raw.items as items
        on places.item_id = items.item_id
    where len(items.categories) > 0
    group by items.categories[1]
),

done as (
    select
        items.categories[1] as category,
        count(*) as n
    from raw.events as events
    inner join raw.items as items
        on events.item_id = items.item_id
    where events.occurred_at >= $since::timestamp
        and events.event_type not in ('impression', 'return')
        and len(items.categories) > 0
    group by items.categories[1]
)

select
    shown.category,
    shown.n_now / nullif(sum(shown.n_now) over (), 0) as share_now,
    shown.n_before / nullif(sum(shown.n_before) over (), 0) as share_before,
    coalesce(done.n, 0) / nullif((select sum(every.n) from done as every), 0) as share_done
from shown
left join done
    on shown.category = done.category
order by shown.n_now desc, shown.category
limit $n
