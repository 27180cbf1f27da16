-- The items most similar to one item, with their current titles.
--
-- grain:   one row per rank
-- params:  $item_id, $k
-- reads:   recs.similar_items, raw.items
-- returns: rank, item_id, title, similarity, model_version, data_snapshot, generated_at
select
    near.rank as rank,
    near.similar_item_id as item_id,
    items.title as title,
    near.similarity as similarity,
    near.model_version as model_version,
    near.data_snapshot as data_snapshot,
    near.generated_at as generated_at
from recs.similar_items as near
left join raw.items as items
    on near.similar_item_id = items.item_id
where near.item_id = $item_id
    and near.rank <= $k
order by near.rank
