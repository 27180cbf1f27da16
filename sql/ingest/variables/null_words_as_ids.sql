-- Sets the variable null_words_as_ids, which readers and macros look up by getvariable.
--
-- params:  $value
set variable null_words_as_ids = $value
