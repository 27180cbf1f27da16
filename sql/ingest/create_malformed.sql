-- Lines that the parser could not split into columns.
--
-- grain:   one row per line
create table malformed (
    file_no integer not null,
    line bigint not null,
    rule varchar not null,
    reason varchar not null,
    offending varchar,
    row_json varchar
)
