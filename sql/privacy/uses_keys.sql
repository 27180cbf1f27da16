-- Whether this lake holds what was made with privacy keys: pseudonyms, erasures, arms of experiments, owners of replay windows.
--
-- grain:   one row
-- reads:   ops.pseudonyms, ops.erasures, ops.experiments, recs.publications
-- returns: uses_keys
select
    exists (select 1 from ops.pseudonyms)
    or exists (select 1 from ops.erasures)
    or exists (select 1 from ops.experiments)
    or exists (select 1 from recs.publications) as uses_keys
