-- The scenario, if the published lists follow it.
--
-- grain:   one row, none if they do not
-- params:  $scenario
-- reads:   ops.scenarios
-- returns: scenario
select scenario
from ops.scenarios
where scenario = $scenario
