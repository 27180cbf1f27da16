-- Note up to which snapshot the work is done.
--
-- grain:   one row per consumer
-- params:  $published, $learnt (snapshots), $updated_at (timestamp, UTC)
-- writes:  ops.watermarks
insert into ops.watermarks by name
select
    unnest(['published', 'learnt']) as consumer,
    unnest([$published, $learnt]) as snapshot,
    $updated_at as updated_at
