-- Lets the newest publication, if an erasure made it, point to a later snapshot.
--
-- grain:   one row at most
-- params:  $data_snapshot
-- reads:   recs.publications
-- writes:  recs.publications
update recs.publications
set data_snapshot = $data_snapshot, learnt = $data_snapshot
where cadence = 'erasure'
    and publication_id = (
        select newest.publication_id
        from recs.publications as newest
        order by newest.published_at desc, newest.publication_id desc
        limit 1
    )
