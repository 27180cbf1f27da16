-- Sets the variable abbreviations, which readers and macros look up by getvariable.
--
-- params:  $value
set variable abbreviations = $value
