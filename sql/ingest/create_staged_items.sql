-- Every row of the files, mapped and checked, in the order of files and rows: rowid is that order.
--
-- grain:   one row per input row
create table staged (
    file_no integer not null,
    item_id varchar,
    title varchar,
    description varchar,
    categories varchar[],
    tags varchar[],
    price double,
    is_available boolean,
    n_cut integer not null,
    rule varchar,
    reason varchar,
    flaw varchar,
    flaw_reason varchar,
    row_json varchar
)
