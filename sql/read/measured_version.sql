-- The version whose hold-out says how good the live one is: itself, or the night's that the live increment goes back to.
--
-- grain:   one row, none before the first night
-- params:  $model_version (live)
-- reads:   eval.offline, eval.prequential
-- returns: model_version
with known as (
    select
        offline.model_version,
        if(offline.model_version = $model_version, 0, 2) as preference,
        offline.evaluated_at
    from eval.offline as offline
    where offline.model_version is not null
        and offline.model = 'minutehand'
    union all
    select
        minutes.model_version,
        1 as preference,
        minutes.evaluated_at
    from eval.prequential as minutes
    where minutes.model = 'nightly'
        and minutes.model_version is not null
)

select known.model_version
from known
order by known.preference, known.evaluated_at desc
limit 1
