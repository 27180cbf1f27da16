-- The key under which the ids of people are pseudonyms; no row if the ids are clear.
--
-- reads:   ops.pseudonyms
-- returns: key_number
select pseudonyms.key_number
from ops.pseudonyms
order by pseudonyms.since desc, pseudonyms.key_number desc
limit 1
