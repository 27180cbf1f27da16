-- Updates the items whose description changed.
--
-- reads:   incoming
-- writes:  raw.items
update raw.items as items
set
    title = incoming.title,
    description = incoming.description,
    categories = incoming.categories,
    tags = incoming.tags,
    price = incoming.price,
    is_available = incoming.is_available,
    updated_at = now()::timestamp
from incoming
where items.item_id = incoming.item_id
    and incoming.is_changed
