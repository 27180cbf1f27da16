-- Sets the variable delimiter, which readers and macros look up by getvariable.
--
-- params:  $value
set variable delimiter = $value
