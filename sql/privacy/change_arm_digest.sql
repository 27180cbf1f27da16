-- Records that the files of the model version of an experiment's challenger have changed.
--
-- params:  $before, $after (SHA-256)
-- writes:  ops.experiments
update ops.experiments
set checkpoint_sha256 = $after
where checkpoint_sha256 = $before
