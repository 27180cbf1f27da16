-- Add the texts of one run.
--
-- grain:   one row per reason
-- params:  $generator (name of the language model), $worded_at (timestamp, UTC)
-- reads:   worded (registered: template, text)
-- writes:  features.reason_texts
insert into features.reason_texts (template, text, generator, worded_at)
select
    template,
    text,
    $generator as generator,
    $worded_at as worded_at
from worded
order by template
