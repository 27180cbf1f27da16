-- Sets the regions that there are, such as Europe/Berlin, by name: as_utc looks them up.
set variable zones = (
    select list(name order by name)
    from pg_timezone_names()
    where contains(name, '/')
)
