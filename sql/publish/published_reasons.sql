-- The reasons of the lists as they are, of one template: those in the first ranks first, then those of most rows.
--
-- grain:   one row per reason
-- params:  $prefix, $suffix (what stands before and after the name in the template), $ranks (first ranks of a list), $n (most reasons)
-- reads:   recs.recommendations
-- returns: reason
select reason
from recs.recommendations
where rank <= $ranks
    and starts_with(reason, $prefix)
    and ends_with(reason, $suffix)
group by reason
order by min(rank), count(*) desc, reason
limit $n
