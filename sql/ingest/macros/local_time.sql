-- The local time from the parts of a written time, without its zone; null if the parts are no time.
create or replace temp macro local_time(parts, day_first) as case
    when coalesce(try_cast(parts.hour as integer), 0) > (case when parts.half = '' then 24 else 12 end) then null
    when parts.half <> '' and try_cast(parts.hour as integer) = 0 then null
    when coalesce(try_cast(parts.minute as integer), 0) > 59 or coalesce(try_cast(parts.second as integer), 0) > 60 then null
    when parts.hour = '24'
        and (coalesce(try_cast(parts.minute as integer), 0) > 0 or coalesce(try_cast(parts.second as integer), 0) > 0) then null
    else calendar_date(parts.date, day_first)::timestamp + to_microseconds(
        1000000 * (
            3600 * case
                when parts.half = '' then coalesce(try_cast(parts.hour as bigint), 0)
                else try_cast(parts.hour as bigint) % 12 + case when lower(left(parts.half, 1)) = 'p' then 12 else 0 end
            end
            + 60 * coalesce(try_cast(parts.minute as bigint), 0)
            + coalesce(try_cast(parts.second as bigint), 0)
        )
        + coalesce(try_cast(left(rpad(parts.fraction, 6, '0'), 6) as bigint), 0)
    )
end
