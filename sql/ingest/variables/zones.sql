-- Sets the known regions, such as Europe/Berlin, sorted by name, for the macro as_utc.
set variable zones = (
    select list(name order by name)
    from pg_timezone_names()
    where contains(name, '/')
)
