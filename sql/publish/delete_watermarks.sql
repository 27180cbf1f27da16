-- Deletes the watermarks, before new ones are inserted.
--
-- writes:  ops.watermarks
delete from ops.watermarks
