-- The log of applied schema changes; the first table of a new lake.
--
-- grain:   one row per applied file of sql/schema
create table if not exists ops.migrations (
    name varchar not null,
    applied_at timestamp not null
);
