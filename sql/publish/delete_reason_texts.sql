-- Delete the texts of other generators and those that are old.
--
-- grain:   one row per reason
-- params:  $generator (name of the language model; null: delete all), $before (timestamp, UTC)
-- writes:  features.reason_texts
delete from features.reason_texts
where generator is distinct from $generator
    or worded_at < $before
