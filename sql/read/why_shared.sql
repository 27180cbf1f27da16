-- The categories and tags of an item that other items in a user's history have too, most frequent first.
--
-- grain:   one row per label
-- params:  $user_id, $item_id
-- reads:   features.user_histories, raw.items
-- returns: label, n_items (items of the history with the label), n_history (all items of the history), examples (at most three names)
with history as (
    select distinct unnest(list_concat(coalesce(histories.earlier_item_ids, []), histories.item_ids)) as item_id
    from features.user_histories as histories
    where histories.user_id = $user_id
),

labels as (
    select distinct
        items.item_id as item_id,
        coalesce(items.title, items.item_id) as name,
        trim(word.text) as label
    from raw.items as items,
        unnest(list_concat(coalesce(items.categories, []), coalesce(items.tags, []))) as word (text)
    where items.item_id = $item_id
        or items.item_id in (select history.item_id from history)
)

select
    theirs.label as label,
    count(*) as n_items,
    (select count(*) from history where history.item_id <> $item_id) as n_history,
    list_slice(list(theirs.name order by theirs.name), 1, 3) as examples
from labels as own
inner join labels as theirs on own.label = theirs.label
where own.item_id = $item_id
    and theirs.item_id <> $item_id
group by theirs.label
order by count(*) desc, theirs.label
