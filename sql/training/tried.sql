-- How often each new item was shown in a slot that a draw filled, and how often it was clicked or bought there.
--
-- grain:   one row per item
-- reads:   eval.outcomes
-- returns: item_id, n_shown, n_chosen
select
    item_id,
    count(*) as n_shown,
    count(coalesce(clicked_at, bought_at)) as n_chosen
from eval.outcomes
where slot = 'exploration'
group by item_id
order by item_id
