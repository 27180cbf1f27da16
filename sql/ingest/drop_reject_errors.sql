-- Drops the malformed lines of the previous file.
drop table if exists reject_errors
