-- Record that a file of sql/schema has been applied.
--
-- params:  $name (varchar)
-- writes:  ops.migrations
insert into ops.migrations by name
select
    $name as name,
    now()::timestamp as applied_at
