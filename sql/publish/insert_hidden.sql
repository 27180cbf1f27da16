-- Adds the items that one scenario hides from users.
--
-- grain:   one row per user and item
-- params:  $scenario
-- reads:   hidden_pairs (registered: user_id, item_id)
-- writes:  hidden (temporary: scenario, user_id, item_id)
insert into hidden by name
select
    $scenario as scenario,
    pairs.user_id,
    pairs.item_id
from hidden_pairs as pairs
