-- The items in the first ten places of lists: how many users have each now, and had it after the night before.
--
-- grain:   one row per item, of those that most users have and of those that gained or lost most
-- params:  $n (items of each kind)
-- reads:   places (temporary: is_now, user_id, place, item_id), raw.items
-- returns: item_id, title, category (the first), n_now, n_before, by_now, by_gain, by_loss (places in the three orders)
with counted as (
    select
        item_id,
        count(*) filter (where is_now) as n_now,
        count(*) filter (where not is_now) as n_before
    from places
    group by item_id
),

ordered as (
    select
        *,
        row_number() over (order by n_now desc, item_id) as by_now,
        row_number() over (order by n_now - n_before desc, n_now desc, item_id) as by_gain,
        row_number() over (order by n_before - n_now desc, n_before desc, item_id) as by_loss
    from counted
)

select
    ordered.item_id,
    items.title,
    items.categories[1] as category,
    ordered.n_now,
    ordered.n_before,
    ordered.by_now,
    ordered.by_gain,
    ordered.by_loss
from ordered
left join raw.items as items
    on ordered.item_id = items.item_id
where least(ordered.by_now, ordered.by_gain, ordered.by_loss) <= $n
order by ordered.by_now
