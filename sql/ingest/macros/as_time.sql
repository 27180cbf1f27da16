-- Text as a UTC time: compact dates (20240131), unix seconds to nanoseconds by magnitude, ISO 8601 with or without zone.
-- Null where it is none of these.
create or replace temp macro as_time(text, format) as case
    when text is null then null
    when format is not null then try_strptime(text, format::varchar)::timestamp
    when length(text) = 8 and try_cast(text as integer) between 19000101 and 21001231 and try_strptime(text, '%Y%m%d') is not null
        then try_strptime(text, '%Y%m%d')
    when try_cast(text as double) is not null then try(case
        when not isfinite(text::double) then null
        when abs(text::double) < 1e11 then make_timestamp(round(text::double * 1e6)::bigint)
        when abs(text::double) < 1e14 then make_timestamp(round(text::double * 1e3)::bigint)
        when abs(text::double) < 1e17 then make_timestamp(round(text::double)::bigint)
        else make_timestamp(round(text::double / 1e3)::bigint)
    end)
    when isfinite(try_cast(text as timestamptz)) then try_cast(text as timestamptz)::timestamp
end
