-- A category text that contains a separator, if there is one.
--
-- reads:   staged
-- returns: category
select categories[1] as category
from staged
where len(categories) = 1
    and contains(categories[1], '|')
order by rowid
limit 1
