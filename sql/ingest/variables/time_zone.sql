-- Sets the variable time_zone, which readers and macros look up by getvariable.
--
-- params:  $value
set variable time_zone = $value
