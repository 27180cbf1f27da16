-- The newest publication, with the files of its model.
--
-- grain:   one row, none before the first publish
-- reads:   recs.publications
-- returns: publication_id, model_version, data_snapshot, published_at, asked_s (null if unknown)
select
    p.publication_id,
    p.model_version,
    p.data_snapshot,
    p.published_at,
    epoch(p.asked_at)::bigint as asked_s
from recs.publications as p
order by p.published_at desc, p.publication_id desc
limit 1
