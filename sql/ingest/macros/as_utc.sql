-- A local time in a zone as UTC: an offset, an abbreviation, a region, or where none is written that of the run.
-- Null for a zone that is none.
--
-- Every zone is worked out by itself: a cast of texts with and without zones lends that of one row to the next (duckdb/duckdb#24438).
create or replace temp macro as_utc(local, zone) as case
    when local is null then null
    when zone = '' and getvariable('time_zone') = 'UTC' then local
    when zone = '' then timezone(getvariable('time_zone'), local)::timestamp
    when lower(zone) = 'z' then local
    when regexp_full_match(zone, '(?i)(?:utc|gmt)?[+−-](?:0?\d|1[0-8])(?::?[0-5]\d)?') then local - to_minutes(
        case when contains(zone, '+') then 1 else -1 end
        * (
            60 * regexp_extract(zone, '([01]?\d)(?::?([0-5]\d))?$', 1)::bigint
            + coalesce(try_cast(regexp_extract(zone, '([01]?\d)(?::?([0-5]\d))?$', 2) as bigint), 0)
        )
    )
    when list_contains(getvariable('abbreviations'), lower(zone))
        then local - to_minutes(getvariable('minutes')[list_position(getvariable('abbreviations'), lower(zone))]::bigint)
    when list_contains(getvariable('lower_zones'), lower(zone))
        then timezone(getvariable('zones')[list_position(getvariable('lower_zones'), lower(zone))], local)::timestamp
end
