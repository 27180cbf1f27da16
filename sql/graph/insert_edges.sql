-- Inserts the edges of the touched nodes, by source, relation and weight, so that a query for one node skips most row groups.
-- What was created with at most $n_edges per source is not ranked again.
--
-- grain:   one row per source, relation and target
-- params:  $half_life_days, $n_edges (per source and relation), $model_version, $data_snapshot, $generated_at (timestamp, UTC)
-- reads:   fresh_acts, item_acts, together, labels, label_items, fresh_interests, people (temporary: source, target, weight),
--          touched_labels (temporary: node), graph.edges, recs.interests
-- writes:  graph.edges
insert into graph.edges by name
with parents as (
    select
        touched_labels.node as source,
        regexp_replace(touched_labels.node, ' > [^>]*$', '') as target
    from touched_labels
    where starts_with(touched_labels.node, 'category:')
        and contains(touched_labels.node, ' > ')
        and touched_labels.node in (select label_items.source from label_items)
    union all
    select
        'interest:' || interests.interest_id as source,
        'interest:' || interests.parent_id as target
    from recs.interests as interests
    where interests.parent_id is not null
        and 'interest:' || interests.interest_id in (select touched_labels.node from touched_labels)
),

children as (
    select
        parents.target as source,
        parents.source as target
    from parents
    where parents.target in (select touched_labels.node from touched_labels)
    union
    select
        edges.target as source,
        edges.source as target
    from graph.edges as edges
    where edges.relation = 'parent'
        and edges.target in (select touched_labels.node from touched_labels)
),

loose as (
    select
        target as source,
        source as target,
        'acted_on_by' as relation,
        weight,
        $half_life_days as half_life_days
    from item_acts
    union all
    select
        source,
        target,
        relation,
        weight,
        null as half_life_days
    from labels
    union all
    select
        source,
        target,
        'has_item' as relation,
        weight,
        $half_life_days as half_life_days
    from label_items
    union all
    select
        source,
        target,
        'interest_of' as relation,
        weight,
        null as half_life_days
    from people
    union all
    select
        source,
        target,
        'parent' as relation,
        1.0 as weight,
        null as half_life_days
    from parents
    union all
    select
        source,
        target,
        'child' as relation,
        1.0 as weight,
        null as half_life_days
    from children
),

kept as (
    select
        source,
        target,
        relation,
        weight,
        half_life_days
    from loose
    qualify row_number() over (partition by source, relation order by round(log2(nullif(weight, 0)), 6) desc nulls last, target) <= $n_edges
    union all
    select
        source,
        target,
        'acted_on' as relation,
        weight,
        $half_life_days as half_life_days
    from fresh_acts
    union all
    select
        source,
        target,
        'seen_together' as relation,
        weight,
        $half_life_days as half_life_days
    from together
    union all
    select
        source,
        target,
        'interested_in' as relation,
        weight,
        null as half_life_days
    from fresh_interests
),

totals as (
    select
        source,
        relation,
        sum(weight) as weight,
        count(*) as n_edges
    from kept
    group by source, relation
)

select
    kept.source,
    kept.target,
    kept.relation,
    kept.weight,
    case when totals.weight > 0 then kept.weight / totals.weight else 1 / totals.n_edges end as share,
    kept.half_life_days,
    $model_version as model_version,
    $data_snapshot as data_snapshot,
    $generated_at as generated_at
from kept
inner join totals
    on kept.source = totals.source
        and kept.relation = totals.relation
order by kept.source, kept.relation, kept.weight desc, kept.target
