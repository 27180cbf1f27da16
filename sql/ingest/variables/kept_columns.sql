-- Sets the variable kept_columns, which readers and macros look up by getvariable.
--
-- params:  $value
set variable kept_columns = $value
