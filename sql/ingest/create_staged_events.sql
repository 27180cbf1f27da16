-- Every row of the files, mapped and checked, in the order of files and rows: rowid is that order.
--
-- grain:   one row per input row
create table staged (
    file_no integer not null,
    event_id varchar,
    is_given boolean not null,
    user_id varchar,
    item_id varchar,
    event_type varchar,
    value double,
    query varchar,
    occurred_at timestamp,
    context varchar,
    clock_change varchar,
    n_cut integer not null,
    rule varchar,
    reason varchar,
    flaw varchar,
    flaw_reason varchar,
    row_json varchar
)
