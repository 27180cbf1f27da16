-- Sets the variable pseudonym_keys, which readers and macros look up by getvariable.
--
-- params:  $value
set variable pseudonym_keys = $value
