-- The labels that may stand in a reason, of every item.
--
-- grain:   one row per item and label
-- reads:   temp.reason_labels
-- returns: item_id, label, rarity
select
    labels.item_id,
    labels.label,
    labels.rarity
from reason_labels as labels
order by labels.item_id, labels.label
