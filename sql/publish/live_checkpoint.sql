-- The live model version and its files.
--
-- grain:   one row, none before the first publish
-- reads:   recs.publications
-- returns: model_version, checkpoint, checkpoint_sha256
select
    p.model_version,
    p.checkpoint,
    p.checkpoint_sha256
from recs.publications as p
order by p.published_at desc, p.publication_id desc
limit 1
