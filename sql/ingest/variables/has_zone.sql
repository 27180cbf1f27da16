-- Sets the variable has_zone, which readers and macros look up by getvariable.
--
-- params:  $value
set variable has_zone = $value
