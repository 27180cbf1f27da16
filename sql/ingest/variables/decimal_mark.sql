-- Sets the variable decimal_mark, which readers and macros look up by getvariable.
--
-- params:  $value
set variable decimal_mark = $value
