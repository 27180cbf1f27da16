-- Items seen together with each touched item: for each user of both, the smaller of the two weights; the strongest are kept.
--
-- grain:   one row per pair of items
-- params:  $n_edges (per item)
-- reads:   audience (temporary: source, target, weight), windows (temporary: source, target, weight)
-- returns: the temporary table together: source (item node), target (item node), weight
create or replace temp table together as
with pairs as (
    select
        audience.target as source,
        windows.target as target,
        sum(least(audience.weight, windows.weight)) as weight
    from audience
    inner join windows
        on audience.source = windows.source
            and audience.target <> windows.target
    group by audience.target, windows.target
)

select
    source,
    target,
    weight
from pairs
qualify row_number() over (partition by source order by round(log2(weight), 6) desc, target) <= $n_edges
