-- Items near what users did, for users with little history: a walk of two steps, from the user to an item and on to an item seen together.
-- A walk counts the product of the shares of its edges, and an item the sum of its walks. Items of the history and items that are not
-- available are left out.
--
-- grain:   one row per user and item, the best first
-- params:  $k (items per user)
-- reads:   at_hand (registered: user_id), graph.edges, features.user_histories, raw.items
-- returns: user_id, item_id, score (at most 1), via (the item of the strongest walk)
with starts as (
    select
        at_hand.user_id,
        acts.target as node,
        acts.share
    from at_hand
    inner join graph.edges as acts
        on 'user:' || at_hand.user_id = acts.source
    where acts.relation = 'acted_on'
),

walks as (
    select
        starts.user_id,
        starts.node as via,
        edges.target as node,
        starts.share * edges.share as share
    from starts
    inner join graph.edges as edges
        on starts.node = edges.source
    where edges.relation = 'seen_together'
),

scored as (
    select
        user_id,
        substr(node, 6) as item_id,
        sum(share) as score,
        substr(max_by(via, share), 6) as via
    from walks
    group by user_id, node
),

had as (
    select
        histories.user_id,
        unnest(list_concat(histories.item_ids, coalesce(histories.earlier_item_ids, []))) as item_id
    from features.user_histories as histories
    where histories.user_id in (select at_hand.user_id from at_hand)
)

select
    scored.user_id,
    scored.item_id,
    scored.score,
    scored.via
from scored
anti join had
    on scored.user_id = had.user_id
        and scored.item_id = had.item_id
where scored.item_id not in (select items.item_id from raw.items as items where not items.is_available)
qualify row_number() over (partition by scored.user_id order by round(scored.score, 9) desc, scored.item_id) <= $k
order by scored.user_id, round(scored.score, 9) desc, scored.item_id
