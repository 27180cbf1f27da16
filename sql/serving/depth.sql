-- Length of the published lists.
--
-- grain:   one row
-- params:  $user_id (the user_id of the list for anyone)
-- reads:   recs.recommendations
-- returns: depth (0 if that list is empty)
select coalesce(max(lists.rank), 0) as depth
from recs.recommendations as lists
where lists.user_id = $user_id
