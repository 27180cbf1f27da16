-- Creates the labels of the catalogue's items: categories and tags that at least two items and at most half of the items have.
-- Of a category such as 'Home > Kitchen > Kettles', the narrowest part counts.
--
-- grain:   one row per item and label
-- params:  $snapshot (lake snapshot)
-- reads:   raw.items
-- writes:  temp.reason_labels (item_id, label, rarity: log of the catalogue's size over the number of items with the label)
create or replace temp table reason_labels as
with every as (
    select distinct
        items.item_id as item_id,
        trim(list_last(string_split(word.text, '>'))) as label
    from raw.items as items at (version => $snapshot),
        unnest(list_concat(coalesce(items.categories, []), coalesce(items.tags, []))) as word (text)
),

counted as (
    select
        every.item_id,
        every.label,
        count(*) over (partition by every.label) as n_items,
        (select count(*) from raw.items as items at (version => $snapshot)) as n_all
    from every
    where every.label <> ''
)

select
    counted.item_id as item_id,
    counted.label as label,
    ln(counted.n_all / counted.n_items) as rarity
from counted
where counted.n_items between 2 and counted.n_all / 2
