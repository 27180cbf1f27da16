-- Deletes resolved rows from the refused rows.
--
-- reads:   settled
-- writes:  raw.rejected
delete from raw.rejected
where rowid in (select settled.row_no from settled)
