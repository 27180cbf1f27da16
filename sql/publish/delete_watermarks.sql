-- Make room for the new watermarks.
--
-- writes:  ops.watermarks
delete from ops.watermarks
