-- Inserts the touched nodes.
--
-- grain:   one row per node
-- params:  $snapshot (lake snapshot), $model_version, $data_snapshot, $generated_at (timestamp, UTC)
-- reads:   fresh_acts, item_acts, label_items, fresh_interests, people (temporary: source, target, weight),
--          touched_items, touched_labels (temporary: node), raw.items, recs.interests
-- writes:  graph.nodes
insert into graph.nodes by name
with titles as (
    select
        'item:' || items.item_id as node,
        nullif(trim(items.title), '') as title
    from raw.items as items at (version => $snapshot)
    where 'item:' || items.item_id in (select touched_items.node from touched_items)
),

found as (
    select
        source as node,
        null as name,
        sum(weight) as weight,
        count(*) as degree
    from fresh_acts
    group by source
    union all
    select distinct
        source as node,
        null as name,
        0.0 as weight,
        0 as degree
    from fresh_interests
    where source not in (select fresh_acts.source from fresh_acts)
    union all
    select
        touched_items.node as node,
        any_value(titles.title) as name,
        coalesce(sum(item_acts.weight), 0) as weight,
        count(item_acts.source) as degree
    from touched_items
    left join titles
        on touched_items.node = titles.node
    left join item_acts
        on touched_items.node = item_acts.target
    group by touched_items.node
    having count(item_acts.source) > 0 or count(titles.node) > 0
    union all
    select
        source as node,
        regexp_extract(source, '^category:(?:.* > )?(.*)$', 1) as name,
        sum(weight) as weight,
        count(*) as degree
    from label_items
    where not starts_with(source, 'interest:')
    group by source
    union all
    select
        'interest:' || interests.interest_id as node,
        any_value(interests.name) as name,
        coalesce(sum(people.weight), 0) as weight,
        count(people.source) as degree
    from recs.interests as interests
    left join people
        on 'interest:' || interests.interest_id = people.source
    where 'interest:' || interests.interest_id in (select touched_labels.node from touched_labels)
    group by interests.interest_id
)

select
    node,
    string_split(node, ':')[1] as kind,
    substr(node, strpos(node, ':') + 1) as id,
    coalesce(nullif(name, ''), substr(node, strpos(node, ':') + 1)) as name,
    weight,
    degree,
    $model_version as model_version,
    $data_snapshot as data_snapshot,
    $generated_at as generated_at
from found
order by node
