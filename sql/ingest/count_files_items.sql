-- Row counts of each file by outcome; the remaining rows are duplicates. An item on several rows counts for the file of its first row.
--
-- grain:   one row per file
-- reads:   incoming, refused, staging.staged, staging.files, staging.malformed
-- returns: source, n_read, n_new, n_changed, n_rejected, n_barred, n_values
with firsts as (
    select
        staged.file_no,
        incoming.is_new,
        incoming.is_changed
    from incoming
    inner join staging.staged on incoming.row_no = staged.rowid
)

select
    files.source,
    (select count(*) from staging.staged where staged.file_no = files.file_no)
    + (select count(*) from staging.malformed where malformed.file_no = files.file_no) as n_read,
    (select count(*) from firsts where firsts.file_no = files.file_no and firsts.is_new) as n_new,
    (select count(*) from firsts where firsts.file_no = files.file_no and firsts.is_changed) as n_changed,
    (select count(*) from refused where refused.source = files.source and refused.is_row) as n_rejected,
    0 as n_barred,
    (select count(*) from refused where refused.source = files.source and not refused.is_row) as n_values
from staging.files
order by files.file_no
