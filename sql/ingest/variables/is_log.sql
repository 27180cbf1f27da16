-- Sets the variable is_log, which readers and macros look up by getvariable.
--
-- params:  $value
set variable is_log = $value
