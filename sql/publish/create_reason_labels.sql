-- Creates the labels of the catalogue's items: categories and tags that at least two items and at most half of the items have.
-- Of a category such as 'Home > Kitchen > Kettles', the narrowest part counts. Where labels are missing, clusters of texts stand for them.
-- They are the same in all of a transaction, so only the first call creates them.
--
-- grain:   one row per item and label
-- params:  $snapshot (lake snapshot)
-- reads:   raw.items, recs.interests, recs.item_interests
-- writes:  temp.reason_labels (item_id, label, interest_id: of a cluster; null for a label of the catalogue, rarity: log of the catalogue's
--          size over the number of items with the label)
create temp table if not exists reason_labels as
with every as (
    select distinct
        items.item_id as item_id,
        trim(list_last(string_split(word.text, '>'))) as label,
        null::varchar as interest_id
    from raw.items as items at (version => $snapshot),
        unnest(list_concat(coalesce(items.categories, []), coalesce(items.tags, []))) as word (text)
    union all
    select
        members.item_id as item_id,
        interests.name as label,
        interests.interest_id as interest_id
    from recs.item_interests as members
    inner join recs.interests as interests on members.interest_id = interests.interest_id
    where interests.kind = 'cluster'
),

counted as (
    select
        every.item_id,
        every.label,
        every.interest_id,
        count(*) over (partition by every.label, every.interest_id) as n_items,
        (select count(*) from raw.items as items at (version => $snapshot)) as n_all
    from every
    where every.label <> ''
)

select
    counted.item_id as item_id,
    counted.label as label,
    counted.interest_id as interest_id,
    ln(counted.n_all / counted.n_items) as rarity
from counted
where counted.n_items between 2 and counted.n_all / 2
