-- Whether texts are numbers, whichever mark parts whole from fraction.
--
-- params:  $texts (varchar[])
-- returns: are_numbers
select coalesce(bool_and(coalesce(as_number(tidy(text), 'comma'), as_number(tidy(text), 'dot')) is not null), false) as are_numbers
from (select unnest($texts) as text)
