-- Sets the variable minutes, which readers and macros look up by getvariable.
--
-- params:  $value
set variable minutes = $value
