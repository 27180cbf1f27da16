-- The model versions whose lists are still there as rows, oldest publication first.
--
-- grain:   one row per version
-- params:  $since (timestamp, UTC)
-- reads:   recs.publications, recs.list_history
-- returns: model_version, checkpoint (null if unknown), published_at (of its last publication)
select
    p.model_version,
    arg_max(p.checkpoint, p.published_at) as checkpoint,
    max(p.published_at) as published_at
from recs.publications as p
group by p.model_version
having max(p.published_at) >= greatest($since, (select min(past.published_at) from recs.list_history as past))
order by published_at, p.model_version
