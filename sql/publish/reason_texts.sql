-- Reasons that a language model has worded, with the text that takes the place of each.
--
-- grain:   one row per worded reason
-- params:  none
-- reads:   features.reason_texts
-- returns: template, text
select
    template,
    text
from features.reason_texts
where text is not null
order by template
