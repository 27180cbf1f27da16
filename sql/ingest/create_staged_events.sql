-- Every row of the files, mapped and checked, in the order of files and rows: rowid is that order.
--
-- row_json is set for rows that break a rule. It is set for all rows if the lake has refused rows that these rows may correct.
-- left_out: the context keys that are not kept.
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
    recommendation_id varchar,
    position integer,
    clock_change varchar,
    n_cut integer not null,
    left_out varchar[],
    rule varchar,
    reason varchar,
    offending varchar,
    flaw varchar,
    flaw_reason varchar,
    flaw_offending varchar,
    row_json varchar
)
