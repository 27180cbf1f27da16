-- Every row of the files, mapped and checked, in the order of files and rows: rowid is that order.
--
-- row_json is set for rows that break a rule. It is set for all rows if the lake has refused rows that these rows may correct.
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
    offending varchar,
    flaw varchar,
    flaw_reason varchar,
    flaw_offending varchar,
    row_json varchar
)
