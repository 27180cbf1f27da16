-- Sets the variable separator, which readers and macros look up by getvariable.
--
-- params:  $value
set variable separator = $value
