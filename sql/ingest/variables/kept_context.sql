-- Sets the variable kept_context, which readers and macros look up by getvariable.
--
-- params:  $value
set variable kept_context = $value
