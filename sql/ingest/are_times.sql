-- Whether all texts are plausible times of events, with day or month first.
--
-- params:  $texts (varchar[]), $latest (timestamp, UTC)
-- returns: are_times
with tidied as (
    select tidy(unnest($texts)) as time_text
),

numbered as (
    select
        *,
        time_number(time_text) as time_number,
        compact_time(time_text) as compact_time,
        plain_time(time_text) as plain_time
    from tidied
),

parted as (
    select
        *,
        case when time_number is null and plain_time is null then time_parts(time_text) end as time_parts
    from numbered
)

select coalesce(bool_and(coalesce(
    compact_time,
    unix_time(time_number),
    plain_time,
    as_utc(coalesce(local_time(time_parts, true), local_time(time_parts, false)), time_parts.zone)
) between timestamp '1990-01-01' and $latest), false) as are_times
from parted
