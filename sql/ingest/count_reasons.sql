-- The rules that rows broke, most frequent first.
--
-- grain:   one row per rule
-- params:  $n (integer)
-- reads:   refused
-- returns: rule, n_rows
select
    rule,
    count(*) as n_rows
from refused
group by rule
order by n_rows desc, rule
limit $n
