-- Sets the variable quote, which readers and macros look up by getvariable.
--
-- params:  $value
set variable quote = $value
