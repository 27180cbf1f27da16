-- Takes the texts of refused rows of events away: they name people under the names of columns that only their files know.
--
-- writes:  raw.rejected
update raw.rejected
set
    row_json = null,
    value = null
where coalesce(kind, 'events') = 'events'
