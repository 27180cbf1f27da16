-- Expires the given snapshots; clean_up.sql later deletes the files that only they need.
--
-- params:  $versions (snapshots; at least one)
-- returns: the expired snapshots
call ducklake_expire_snapshots('lake', versions => $versions)
