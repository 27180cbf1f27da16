-- Sets the variable path, which readers and macros look up by getvariable.
--
-- params:  $value
set variable path = $value
