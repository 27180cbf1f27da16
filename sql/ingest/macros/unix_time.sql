-- A Unix time as UTC; the magnitude decides between seconds, milliseconds, microseconds and nanoseconds.
create or replace temp macro unix_time(number) as try(case
    when not isfinite(number) then null
    when abs(number) < 1e11 then make_timestamp(round(number * 1e6)::bigint)
    when abs(number) < 1e14 then make_timestamp(round(number * 1e3)::bigint)
    when abs(number) < 1e17 then make_timestamp(round(number)::bigint)
    else make_timestamp(round(number / 1e3)::bigint)
end)
