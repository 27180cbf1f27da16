-- The published lists of some users in the scenario default, without the new items that were drawn.
--
-- grain:   one row per user with a list
-- reads:   recs.recommendations, sampled (registered: user_id)
-- returns: user_id, item_ids (best first)
select
    recs.recommendations.user_id as user_id,
    list(recs.recommendations.item_id order by recs.recommendations.rank) as item_ids
from recs.recommendations
where recs.recommendations.user_id in (select sampled.user_id from sampled)
    and recs.recommendations.slot = 'ranked'
group by recs.recommendations.user_id
order by recs.recommendations.user_id
