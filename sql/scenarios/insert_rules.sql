-- Inserts the rules that the lists follow from now on.
--
-- grain:   one row per scenario
-- reads:   rules (registered: scenario, settings, allowed_hash, changed_at)
-- writes:  ops.scenarios
insert into ops.scenarios by name
select
    rules.scenario,
    rules.settings,
    rules.allowed_hash,
    rules.changed_at
from rules
