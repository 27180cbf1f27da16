-- Records that the files of a model version have changed.
--
-- params:  $before, $after (SHA-256)
-- writes:  recs.publications
update recs.publications
set checkpoint_sha256 = $after
where checkpoint_sha256 = $before
