-- The users that count for what is seen together with a touched item: its strongest ones, so that a popular item costs no more than others.
--
-- grain:   one row per item and user
-- params:  $n_users (per item)
-- reads:   item_acts (temporary: source, target, weight)
-- returns: the temporary table audience: source (user node), target (item node), weight
create or replace temp table audience as
select
    item_acts.source,
    item_acts.target,
    item_acts.weight
from item_acts
qualify row_number() over (partition by item_acts.target order by round(log2(item_acts.weight), 6) desc, item_acts.source) <= $n_users
