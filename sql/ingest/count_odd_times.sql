-- Counts of accepted events with an implausibly early time, or with a local time that a clock change skips or repeats.
--
-- reads:   staged
-- returns: n_old, oldest, n_skipped, n_twice
select
    count(*) filter (where occurred_at < timestamp '1990-01-01') as n_old,
    min(occurred_at) as oldest,
    count(*) filter (where clock_change = 'skipped') as n_skipped,
    count(*) filter (where clock_change = 'twice') as n_twice
from staged
where rule is null
