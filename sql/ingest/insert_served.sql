-- Inserts the lists that the API has answered with.
--
-- grain:   one row per list
-- reads:   served (registered: recommendation_id, user_id, scenario, model_version, item_ids, sources, slots, propensities,
--          experiment_id, arm, served_at)
-- writes:  ops.served
insert into ops.served by name
select
    served.recommendation_id as recommendation_id,
    served.user_id as user_id,
    served.scenario as scenario,
    served.model_version as model_version,
    served.item_ids as item_ids,
    served.sources as sources,
    served.slots as slots,
    served.propensities as propensities,
    served.experiment_id as experiment_id,
    served.arm as arm,
    served.served_at as served_at
from served
order by served.served_at, served.recommendation_id
