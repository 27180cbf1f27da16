-- Rejected input rows with their reasons: no row is dropped silently.
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
comment on column raw.rejected.source is 'Input file of the row';
comment on column raw.rejected.line is 'Row number in the file, from 1; the header of a CSV does not count';
comment on column raw.rejected.reason is 'Value, rule and remedy';
comment on column raw.rejected.row_json is 'The original row as a JSON object';
comment on column raw.rejected.rejected_at is 'Time of the rejection, UTC';
