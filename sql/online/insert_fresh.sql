-- Inserts the outcomes that are missing.
--
-- grain:   one row per impression
-- params:  $since, $now (timestamps, UTC)
-- reads:   fresh (temporary, as create_fresh makes it), eval.outcomes
-- writes:  eval.outcomes
insert into eval.outcomes by name
select
    fresh.*,
    $now as built_at
from fresh
where fresh.impression_id not in (
    select old.impression_id
    from eval.outcomes as old
    where old.shown_at >= $since
)
order by fresh.shown_at, fresh.impression_id
