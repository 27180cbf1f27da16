-- Reasons that a generator was asked to word, whether or not its text passed the check.
--
-- grain:   one row per reason
-- params:  $generator (name of the language model)
-- reads:   features.reason_texts
-- returns: template
select template
from features.reason_texts
where generator = $generator
order by template
