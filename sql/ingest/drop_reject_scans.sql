-- Drops the scan records of the previous file.
drop table if exists reject_scans
