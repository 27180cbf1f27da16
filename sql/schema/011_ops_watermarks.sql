-- Watermarks of the consumers, as lake snapshots; a lake with lists starts at the snapshot of its newest publication.
--
-- grain:   one row per consumer
-- reads:   recs.publications
-- writes:  ops.watermarks
create table ops.watermarks (
    consumer varchar not null,
    snapshot bigint not null,
    updated_at timestamp not null
);
comment on table ops.watermarks is 'Watermark of each consumer: the last snapshot of the lake that it has processed';
comment on column ops.watermarks.consumer is
'published (its events are in histories and lists) or learnt (they are in the weights of the live model)';
comment on column ops.watermarks.snapshot is 'Everything up to this snapshot is processed';
comment on column ops.watermarks.updated_at is 'Time of the last change, UTC';

insert into ops.watermarks by name
select
    unnest(['published', 'learnt']) as consumer,
    newest.data_snapshot as snapshot,
    newest.published_at as updated_at
from (
    select
        data_snapshot,
        published_at
    from recs.publications
    order by published_at desc, publication_id desc
    limit 1
) as newest;
