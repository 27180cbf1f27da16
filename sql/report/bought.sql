-- The items that were bought most after they had been shown.
--
-- grain:   one row per item
-- params:  $since (timestamp, UTC), $n
-- reads:   eval.outcomes, raw.items
-- returns: title, item_id, n_shown, n_clicked, n_bought, worth
select
    items.title,
    outcomes.item_id,
    count(*) as n_shown,
    count(outcomes.clicked_at) as n_clicked,
    count(outcomes.bought_at) as n_bought,
    coalesce(sum(outcomes.value), 0)::double as worth
from eval.outcomes as outcomes
left join raw.items as items
    on outcomes.item_id = items.item_id
where outcomes.shown_at >= $since::timestamp
group by items.title, outcomes.item_id
having count(outcomes.bought_at) > 0
order by n_bought desc, worth desc, outcomes.item_id
limit $n
