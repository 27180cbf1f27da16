-- Whether a model version has ever published lists.
--
-- grain:   one row
-- params:  $version
-- reads:   recs.publications
-- returns: is_published
select count(*) > 0 as is_published
from recs.publications as p
where p.model_version = $version
