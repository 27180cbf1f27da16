-- What the touched users acted on: the sum of their events on each item in their histories, the strongest items of each user.
-- People who have opted out count for no edge.
--
-- An event counts the weight of its type x 2^(days since 2026-01-01 / half-life). The exponent stays within 900, so that no time
-- makes a weight that is 0 or not finite.
--
-- grain:   one row per user and item
-- params:  $half_life_days, $event_types (varchar[]), $weights (double[]), $n_edges (items per user)
-- reads:   touched_users (temporary: user_id), features.user_histories, ops.opt_outs
-- returns: the temporary table fresh_acts: source (user node), target (item node), weight
create or replace temp table fresh_acts as
with happened as (
    select
        histories.user_id,
        unnest(histories.item_ids) as item_id,
        unnest(histories.event_types) as event_type,
        unnest(histories.occurred_at) as occurred_at
    from features.user_histories as histories
    where histories.user_id in (select touched_users.user_id from touched_users)
        and histories.user_id not in (select outs.user_id from ops.opt_outs as outs where outs.opted_in_at is null)
)

select
    'user:' || user_id as source,
    'item:' || item_id as target,
    sum(
        weight_of(event_type, $event_types, $weights)
        * pow(2, greatest(-900, least(900, coalesce(epoch(occurred_at) - 1767225600, -1e12) / 86400 / $half_life_days)))
    ) as weight
from happened
group by user_id, item_id
having sum(weight_of(event_type, $event_types, $weights)) > 0
qualify row_number() over (partition by user_id order by round(log2(weight), 6) desc, item_id) <= $n_edges
