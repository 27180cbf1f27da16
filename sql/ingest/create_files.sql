-- The files of one run.
--
-- grain:   one row per file
create table files (
    file_no integer not null,
    source varchar not null,
    first_row bigint not null
)
