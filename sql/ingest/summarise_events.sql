-- Counts of the input rows by outcome; the remaining rows are duplicates.
--
-- returns: n_read, n_new, n_changed, n_rejected, n_values, n_cut
select
    (select count(*) from staging.staged) + (select count(*) from staging.malformed) as n_read,
    (select count(*) from judged where not is_known) as n_new,
    0 as n_changed,
    (select count(*) from refused where is_row) as n_rejected,
    (select count(*) from refused where not is_row) as n_values,
    (select coalesce(sum(n_cut), 0)::bigint from staging.staged) as n_cut
