-- Records the watermarks: the last snapshot that each consumer has processed.
--
-- grain:   one row per consumer
-- params:  $published, $learnt (snapshots), $updated_at (timestamp, UTC)
-- writes:  ops.watermarks
insert into ops.watermarks by name
select
    unnest(['published', 'learnt']) as consumer,
    unnest([$published, $learnt]) as snapshot,
    $updated_at as updated_at
