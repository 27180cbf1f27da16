-- Whether there are texts to delete.
--
-- grain:   one row
-- params:  $generator (name of the language model; null: all), $before (timestamp, UTC)
-- reads:   features.reason_texts
-- returns: n
select count(*) as n
from features.reason_texts
where generator is distinct from $generator
    or worded_at < $before
