-- What could not be taken in, and why: nothing is dropped in silence.
--
-- grain:   one row per refused input row
create table raw.rejected (
    source varchar not null,
    line bigint,
    reason varchar not null,
    row_json varchar,
    rejected_at timestamp not null
);
comment on table raw.rejected is 'Input rows that were refused, each with its reason';
comment on column raw.rejected.source is 'The file it came from';
comment on column raw.rejected.line is 'Which row of that file, counted from 1, the header of a CSV left out';
comment on column raw.rejected.reason is 'Value, rule and remedy';
comment on column raw.rejected.row_json is 'The row as it came, as a JSON object';
comment on column raw.rejected.rejected_at is 'When it was refused, UTC';
