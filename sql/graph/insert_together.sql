-- Finds the items seen together with each touched item, for one part of the touched items: the weight of a pair is the sum, over the users
-- of both, of the smaller of the two weights; the strongest are kept. Parts bound the memory that the pairs take.
--
-- grain:   one row per pair of items
-- params:  $part, $n_parts, $n_edges (per item)
-- reads:   audience (temporary: source, target, weight), windows (temporary: source, target, weight)
-- writes:  together (temporary: source, target, weight)
insert into together by name
with pairs as (
    select
        audience.target as source,
        windows.target as target,
        sum(least(audience.weight, windows.weight)) as weight
    from audience
    inner join windows
        on audience.source = windows.source
            and audience.target <> windows.target
    where hash(audience.target) % $n_parts = $part
    group by audience.target, windows.target
)

select
    source,
    target,
    weight
from pairs
qualify row_number() over (partition by source order by round(log2(weight), 6) desc, target) <= $n_edges
