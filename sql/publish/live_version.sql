-- The model version that is live.
--
-- grain:   one row, none before the first publish
-- reads:   recs.publications
-- returns: model_version
select p.model_version
from recs.publications as p
order by p.published_at desc, p.publication_id desc
limit 1
