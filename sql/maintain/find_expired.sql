-- Snapshots that nothing needs: older than the given time and than all watermarks, not the newest, and not referenced by a kept
-- publication. A snapshot that only an older publication or a run needs is kept no longer than to a certain age.
--
-- grain:   one row per snapshot
-- params:  $keep_publications (how many of the newest of each cadence), $keep_since (timestamp, UTC), $spared (snapshots to keep),
--          $named_since (timestamp, UTC: older ones are kept for the newest publication of each cadence only),
--          $keep_from (snapshot, or null: it and all after it are kept)
-- reads:   recs.publications, ops.watermarks
-- returns: snapshot_id
with kept as (
    select
        data_snapshot,
        row_number() over (partition by cadence order by published_at desc, publication_id desc) as place
    from recs.publications
    qualify place <= $keep_publications
)

select snapshots.snapshot_id
from ducklake_snapshots('lake') as snapshots
where snapshots.snapshot_time::timestamp < $keep_since
    and snapshots.snapshot_id < (select max(newest.snapshot_id) from ducklake_snapshots('lake') as newest)
    and snapshots.snapshot_id < coalesce((select min(marks.snapshot) from ops.watermarks as marks), snapshots.snapshot_id + 1)
    and snapshots.snapshot_id < coalesce($keep_from::bigint, snapshots.snapshot_id + 1)
    and snapshots.snapshot_id not in (select kept.data_snapshot from kept where kept.place = 1)
    and (
        snapshots.snapshot_time::timestamp < $named_since
        or (
            snapshots.snapshot_id not in (select kept.data_snapshot from kept)
            and not list_contains($spared::bigint[], snapshots.snapshot_id)
        )
    )
order by snapshots.snapshot_id
