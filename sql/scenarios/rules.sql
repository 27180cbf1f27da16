-- The rules that the published lists follow.
--
-- grain:   one row per scenario, none before the first scenarios.toml
-- reads:   ops.scenarios
-- returns: scenario, settings, allowed_hash, changed_at
select
    scenario,
    settings,
    allowed_hash,
    changed_at
from ops.scenarios
order by scenario
