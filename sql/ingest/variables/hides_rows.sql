-- Sets the variable hides_rows, which readers and macros look up by getvariable.
--
-- params:  $value
set variable hides_rows = $value
