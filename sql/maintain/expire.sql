-- Give up the given snapshots; the files that only they need are cleaned up later.
--
-- params:  $versions (snapshots; at least one)
-- returns: the expired snapshots
call ducklake_expire_snapshots('lake', versions => $versions)
