-- Forgets the malformed lines of the file before.
drop table if exists reject_scans
