-- Sets what the readers and macros look up by getvariable.
--
-- params:  $value
set variable keeps_rows = $value
