-- Sets the variable time_format, which readers and macros look up by getvariable.
--
-- params:  $value
set variable time_format = $value
