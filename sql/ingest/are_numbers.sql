-- Whether all texts are numbers, with a comma or a dot as decimal mark.
--
-- params:  $texts (varchar[])
-- returns: are_numbers
select coalesce(bool_and(coalesce(as_number(tidy(text), 'comma'), as_number(tidy(text), 'dot')) is not null), false) as are_numbers
from (select unnest($texts) as text)
