-- Inserts the rates of hours that have none.
--
-- reads:   rates (temporary, as create_rates makes it), eval.online
-- writes:  eval.online
insert into eval.online by name
select rates.*
from rates
where rates.metric is not null
    and rates.hour not in (select old.hour from eval.online as old)
order by rates.hour, rates.model_version, rates.scenario, rates.metric, rates.position, rates.source, rates.slot, rates.segment, rates.arm
