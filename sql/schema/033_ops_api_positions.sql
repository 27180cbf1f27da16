-- How far the lake has taken in the log of the API.
--
-- grain:   one row per segment, kind and ingest that brought new lines
create table ops.api_positions (
    segment varchar not null,
    kind varchar not null,
    n_lines bigint not null,
    taken_at timestamp not null
);
comment on table ops.api_positions is
'Segments of the API''s log that the lake has taken in, in the same transaction as their lines';
comment on column ops.api_positions.segment is 'Number of the segment: the name of its file in the log, without its extension';
comment on column ops.api_positions.kind is 'events, items, aliases or served';
comment on column ops.api_positions.n_lines is 'Number of lines of the segment that are taken in';
comment on column ops.api_positions.taken_at is 'Time of the ingest, UTC';
