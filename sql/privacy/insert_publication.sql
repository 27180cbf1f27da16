-- Records that lists have changed because people were erased: a copy of the newest publication, with what differs.
--
-- grain:   one row, none before the first publish
-- params:  $publication_id, $flow_run_id, $data_snapshot (null: that of the newest publication), $published_at (timestamp, UTC)
-- reads:   recs.publications, recs.recommendations
-- writes:  recs.publications
insert into recs.publications by name
select
    newest.* replace (
        $publication_id as publication_id,
        'erasure' as cadence,
        $flow_run_id as flow_run_id,
        coalesce($data_snapshot::bigint, newest.data_snapshot) as data_snapshot,
        coalesce($data_snapshot::bigint, newest.learnt) as learnt,
        (select count(distinct lists.user_id) from recs.recommendations as lists where lists.user_id <> '*') as n_users,
        0 as n_users_changed,
        greatest($published_at::timestamp, newest.published_at + interval 1 microsecond) as published_at
    )
from recs.publications as newest
order by newest.published_at desc, newest.publication_id desc
limit 1
