-- Sets the variable columns, which readers and macros look up by getvariable.
--
-- params:  $value
set variable columns = $value
