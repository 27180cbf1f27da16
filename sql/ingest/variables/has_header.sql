-- Sets the variable has_header, which readers and macros look up by getvariable.
--
-- params:  $value
set variable has_header = $value
