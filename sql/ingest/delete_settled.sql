-- Takes the settled rows out of those that are refused.
--
-- reads:   settled
-- writes:  raw.rejected
delete from raw.rejected
where rowid in (select settled.row_no from settled)
