-- Inserts the new neighbours in input order, by item and rank.
--
-- grain:   one row per item and rank
-- params:  $model_version, $data_snapshot, $generated_at (timestamp, UTC)
-- reads:   neighbours (registered: item_id, rank, similar_item_id, similarity)
-- writes:  recs.similar_items
insert into recs.similar_items by name
select
    neighbours.item_id as item_id,
    neighbours.rank as rank,
    neighbours.similar_item_id as similar_item_id,
    neighbours.similarity as similarity,
    $model_version as model_version,
    $data_snapshot as data_snapshot,
    $generated_at as generated_at
from neighbours
