-- Sets the variable has_partitions, which readers and macros look up by getvariable.
--
-- params:  $value
set variable has_partitions = $value
