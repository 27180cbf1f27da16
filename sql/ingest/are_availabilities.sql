-- Whether all texts are words for the availability of an item.
--
-- params:  $texts (varchar[])
-- returns: are_availabilities
select coalesce(bool_and(availability(tidy(text)) is not null), false) as are_availabilities
from (select unnest($texts) as text)
