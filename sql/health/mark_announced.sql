-- Marks starts and ends of alarms as sent.
--
-- params:  $until (timestamp, UTC)
-- writes:  ops.health
update ops.health
set is_announced = true
where not is_announced
    and checked_at <= $until
