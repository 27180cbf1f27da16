-- Sets the variable keeps_rows, which readers and macros look up by getvariable.
--
-- params:  $value
set variable keeps_rows = $value
