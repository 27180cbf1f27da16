-- Sets the variable day_first, which readers and macros look up by getvariable.
--
-- params:  $value
set variable day_first = $value
