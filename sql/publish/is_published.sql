-- Whether lists were made by a model version.
--
-- grain:   one row
-- params:  $version
-- reads:   recs.publications
-- returns: is_published
select count(*) > 0 as is_published
from recs.publications as p
where p.model_version = $version
