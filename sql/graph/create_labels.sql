-- Categories, tags and interests of the touched items. A path 'a > b > c' puts an item into c, and with half the weight per level into b and a;
-- '|' separates labels. Paths end at the tenth level.
--
-- grain:   one row per item and label
-- params:  $snapshot (lake snapshot)
-- reads:   touched_items (temporary: node), raw.items, recs.item_interests
-- returns: the temporary table labels: source (item node), target (label node), relation, weight
create or replace temp table labels as
with described as (
    select
        'item:' || items.item_id as node,
        items.categories,
        items.tags
    from raw.items as items at (version => $snapshot)
    where 'item:' || items.item_id in (select touched_items.node from touched_items)
),

categorised as (
    select
        node,
        unnest(string_split(array_to_string(categories, '|'), '|')) as path
    from described
),

paths as (
    select
        node,
        list_filter(list_transform(string_split(path, '>'), lambda step: trim(step)), lambda step: step <> '')[:10] as steps
    from categorised
),

levels as (
    select
        node,
        steps,
        unnest(range(1, len(steps) + 1)) as level
    from paths
)

select
    node as source,
    'category:' || array_to_string(steps[:level], ' > ') as target,
    'in_category' as relation,
    max(pow(0.5, len(steps) - level)) as weight
from levels
group by all
union all
select distinct
    tagged.node as source,
    'tag:' || trim(tagged.tag) as target,
    'has_tag' as relation,
    1.0 as weight
from (
    select
        described.node,
        unnest(string_split(array_to_string(described.tags, '|'), '|')) as tag
    from described
) as tagged
where trim(tagged.tag) <> ''
union all
select
    'item:' || members.item_id as source,
    'interest:' || members.interest_id as target,
    'about' as relation,
    members.share::double as weight
from recs.item_interests as members
where 'item:' || members.item_id in (select touched_items.node from touched_items)
