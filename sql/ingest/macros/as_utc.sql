-- A local time in a zone as UTC. The zone is an offset, an abbreviation or a region; without a zone, the zone of the run applies.
-- Null for an unknown zone.
--
-- Each zone is handled explicitly: a cast of texts with and without zones applies one row's zone to the next row (duckdb/duckdb#24438).
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
