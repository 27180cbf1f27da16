-- Row counts of each file by outcome; the remaining rows are duplicates.
--
-- grain:   one row per file
-- reads:   judged, refused, staging.staged, staging.files, staging.malformed
-- returns: source, n_read, n_new, n_changed, n_rejected, n_barred, n_values
select
    files.source,
    (select count(*) from staging.staged where staged.file_no = files.file_no)
    + (select count(*) from staging.malformed where malformed.file_no = files.file_no) as n_read,
    (
        select count(*)
        from judged
        inner join staging.staged on judged.row_no = staged.rowid
        where staged.file_no = files.file_no
            and not judged.is_known
    ) as n_new,
    0 as n_changed,
    (select count(*) from refused where refused.source = files.source and refused.is_row) as n_rejected,
    (
        select count(*)
        from refused
        where refused.source = files.source
            and refused.rule in ('the person is erased', 'the event is older than events are kept')
    ) as n_barred,
    (select count(*) from refused where refused.source = files.source and not refused.is_row) as n_values
from staging.files
order by files.file_no
